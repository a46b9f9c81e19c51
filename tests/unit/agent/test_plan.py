# SPDX-License-Identifier: Apache-2.0
"""The plan for one image: cases by name, and what holds for all of them."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from glance_rawstore.agent import plan
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Copy
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.facts import Image
from glance_rawstore.agent.facts import Part
from glance_rawstore.agent.facts import Task
from glance_rawstore.agent.facts import Trashed
from glance_rawstore.agent.policy import Policy
from glance_rawstore.agent.policy import Wish
from glance_rawstore.agent.policy import metadata
from glance_rawstore.agent.policy import wish
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.attempts import Retry
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.states import Status

ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
NOW = 1_000_000.0
LONG_AGO = NOW - 100_000

POLICY = Policy(
    store='raw',
    makes=True,
    default=False,
    weight=100,
    node_weights={'n1': 5},
    max_size=1 << 40,
    retry=Retry(delay=60, limit=5),
)


def image(raw_cache='true', **facts):
    usual = {
        'status': 'active',
        'disk_format': 'qcow2',
        'container_format': 'bare',
        'properties': {} if raw_cache is None else {'raw_cache': raw_cache},
        'updated_at': LONG_AGO,
    }
    return Image(**{**usual, **facts})


def row(status=Status.ACTIVE, weight=100):
    return raw_copy.location_metadata('raw', status, weight, {'n1': 5})


def failed(count=1, refused=False, at=LONG_AGO):
    version = POLICY.version(image())
    return Attempts(count, refused, 'It was full.', at, version)


def planned(facts, policy=POLICY, now=NOW):
    return [str(action.kind) for action in plan.plan(facts, policy, now)]


AT = NOW - 50_000
EVICTED = Evicted(AT, 'lru', 7, 'c')
WANTED = Facts(ID, image=image())
DONE = Facts(ID, image=image(), copy=Copy('c'), rows=(row(),))


ORDERED = Facts(ID, image=image(None), ordered=True)


def but(facts, **changes):
    return dataclasses.replace(facts, **changes)


@pytest.mark.parametrize(
    ('facts', 'kinds'),
    [
        pytest.param(WANTED, ['make copy'], id='wanted'),
        pytest.param(DONE, [], id='done'),
        pytest.param(Facts(ID, image=image(None)), [], id='not asked for'),
        pytest.param(
            Facts(ID, image=image('perhaps')),
            ['make copy'],  # which tells the tenant
            id='not readable',
        ),
        pytest.param(
            Facts(ID, image=image(disk_format='raw')), [], id='raw already'
        ),
        pytest.param(
            Facts(ID, image=image(disk_format='ploop')),
            ['make copy'],
            id='refusing is for the conversion, which tells the tenant',
        ),
        pytest.param(
            Facts(ID, image=image(status='saving')), [], id='not active yet'
        ),
        pytest.param(
            Facts(ID, image=image(has_data=False)), [], id='without data'
        ),
        pytest.param(
            Facts(ID, image=image(importing=True)), [], id='importing'
        ),
        pytest.param(
            Facts(ID, image=image(updated_at=NOW - 4)), [], id='just changed'
        ),
        pytest.param(
            but(DONE, image=image('false')),
            ['remove location', 'delete copy'],
            id='not wanted any more',
        ),
        pytest.param(
            but(DONE, image=image(None)),
            ['remove location', 'delete copy'],
            id='the property was removed',
        ),
        pytest.param(
            but(DONE, image=image('perhaps')), [], id='a slip deletes nothing'
        ),
        pytest.param(
            but(DONE, image=image(None), copy=Copy('c', by_wish=False)),
            [],
            id='an admin made it by copy-image',
        ),
        pytest.param(
            but(DONE, image=None, rows=()), ['delete copy'], id='image deleted'
        ),
        pytest.param(
            but(DONE, known=False, image=None, rows=()),
            [],
            id='no image of this Glance',
        ),
        pytest.param(but(DONE, rows=()), ['put location'], id='row lost'),
        pytest.param(
            but(DONE, rows=(row(Status.PENDING),)),
            ['put location'],
            id='row still pending',
        ),
        pytest.param(
            but(DONE, rows=(row(), row())), ['put location'], id='two rows'
        ),
        pytest.param(
            but(
                DONE,
                image=image(
                    properties={'raw_cache': 'yes', 'raw_cache_weight': '7'}
                ),
            ),
            ['put location'],
            id='another weight',
        ),
        pytest.param(
            but(
                DONE,
                image=image(
                    properties={'raw_cache': 'yes', 'raw_cache_weight': 'x'}
                ),
                rows=(row(weight=3),),
            ),
            [],
            id='a weight that cannot be read changes nothing',
        ),
        pytest.param(
            but(WANTED, rows=(row(),), attempts=failed(9)),
            ['remove location'],
            id='row without a copy',
        ),
        pytest.param(
            but(WANTED, part=Part('p', leased=True), rows=(row('pending'),)),
            [],
            id='being made',
        ),
        pytest.param(
            but(WANTED, image=image('false'), part=Part('p', leased=True)),
            ['delete copy'],
            id='being made, and not wanted any more',
        ),
        pytest.param(
            but(WANTED, part=Part('p')), ['make copy'], id='its worker died'
        ),
        pytest.param(
            but(WANTED, part=Part('p'), attempts=failed(at=NOW - 59)),
            [],
            id='its worker died a moment ago',
        ),
        pytest.param(
            but(WANTED, part=Part('p'), attempts=failed(5)),
            ['clear dead part'],
            id='its worker died once too often',
        ),
        pytest.param(
            but(WANTED, image=None, part=Part('p')),
            ['clear dead part'],
            id='worker died, image deleted',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', resumable=True),
                tasks=(Task('t', 'processing', 99, 31),),
            ),
            ['make copy'],
            id='its worker lost the lease, and its task goes on',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', resumable=True),
                tasks=(
                    Task('t', 'processing', 99, 31),
                    Task('u', 'processing', 99, 61),
                ),
            ),
            ['make copy'],
            id='of two tasks the one that was left first goes on',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', resumable=True),
                tasks=(
                    Task('t', 'processing', 99, 62),
                    Task('u', 'processing', 99, 61),
                ),
            ),
            ['fail task', 'make copy'],
            id='one task goes on, not two',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', resumable=True),
                tasks=(Task('t', 'pending', 29, 5),),
            ),
            [],
            id='another is about to go on',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', resumable=True),
                tasks=(Task('t', 'processing', 99, 1),),
                handed_over='t',
            ),
            ['make copy'],
            id='handed over',
        ),
        pytest.param(
            but(
                WANTED,
                tasks=(Task('t', 'pending', 9, 1),),
                handed_over='t',
            ),
            ['make copy'],
            id='handed over before it was begun',
        ),
        pytest.param(
            but(
                WANTED,
                image=image(importing=True),
                part=Part('p', resumable=True),
                tasks=(Task('t', 'processing', 99, 61),),
                handed_over='t',
            ),
            [],
            id='handed over, to wait',
        ),
        pytest.param(
            but(
                WANTED,
                image=image('no'),
                part=Part('p', resumable=True),
                rows=(row(Status.PENDING),),
                tasks=(Task('t', 'processing', 99, 1),),
                handed_over='t',
            ),
            [
                'clear dead part',
                'remove location',
                'fail task',
                'forget handover',
            ],
            id='handed over, and not wanted any more',
        ),
        pytest.param(
            but(
                WANTED,
                part=Part('p', leased=True, resumable=True),
                tasks=(Task('t', 'processing', 99, 1),),
                handed_over='t',
            ),
            ['forget handover'],
            id='handed over and taken',
        ),
        pytest.param(
            but(
                DONE,
                tasks=(Task('t', 'processing', 99, 1),),
                handed_over='t',
            ),
            ['close task', 'forget handover'],
            id='handed over when it was done',
        ),
        pytest.param(
            but(WANTED, part=Part('p', whole=True)),
            ['finish commit', 'put location'],
            id='the commit was interrupted',
        ),
        pytest.param(
            but(WANTED, image=image('no'), part=Part('p', whole=True)),
            ['clear dead part'],
            id='the commit of an unwanted copy was interrupted',
        ),
        pytest.param(
            but(DONE, part=Part('p')),
            ['clear dead part'],
            id='a second one was begun',
        ),
        pytest.param(
            but(DONE, trashed=(Trashed('1'), Trashed('2', in_use=True))),
            ['reap'],
            id='trashed',
        ),
        pytest.param(
            but(DONE, tasks=(Task('t', 'processing', 99, 61),)),
            ['close task'],
            id='worker died before it closed the task',
        ),
        pytest.param(
            but(WANTED, tasks=(Task('t', 'processing', 99, 61),)),
            ['fail task', 'make copy'],
            id='worker died, task left',
        ),
        pytest.param(
            but(WANTED, tasks=(Task('t', 'processing', 99, 60),)),
            [],
            id='another is at it',
        ),
        pytest.param(
            but(WANTED, tasks=(Task('t', 'pending', 29, 5),)),
            [],
            id='another is about to',
        ),
        pytest.param(
            but(WANTED, tasks=(Task('t', 'pending', 30, 5),)),
            ['make copy'],
            id='another waits for a slot, which we have',
        ),
        pytest.param(
            but(WANTED, attempts=failed(2, at=NOW - 119)), [], id='too early'
        ),
        pytest.param(
            but(WANTED, attempts=failed(2, at=NOW - 120)),
            ['make copy'],
            id='again',
        ),
        pytest.param(but(WANTED, attempts=failed(5)), [], id='given up'),
        pytest.param(
            but(WANTED, attempts=failed(1, refused=True)), [], id='refused'
        ),
        pytest.param(
            but(
                WANTED,
                image=image(updated_at=NOW - 10),
                attempts=failed(1, refused=True),
            ),
            ['make copy'],
            id='refused, then changed',
        ),
        pytest.param(
            but(DONE, attempts=failed()), ['forget attempts'], id='mended'
        ),
        pytest.param(
            but(WANTED, image=None, attempts=failed()),
            ['forget attempts'],
            id='failed, then deleted',
        ),
        pytest.param(but(WANTED, evicted=EVICTED), [], id='evicted'),
        pytest.param(
            but(WANTED, evicted=EVICTED, asked=AT - 1),
            [],
            id='evicted, and not asked for since',
        ),
        pytest.param(
            but(WANTED, evicted=EVICTED, asked=AT + 1),
            ['make copy'],
            id='evicted, and asked for since',
        ),
        pytest.param(
            but(WANTED, evicted=EVICTED, asked=AT + 1, handed_over=''),
            ['make copy'],
            id='evicted, and asked for just now',
        ),
        pytest.param(
            but(
                WANTED,
                evicted=EVICTED,
                asked=AT + 1,
                handed_over='',
                attempts=failed(at=NOW - 10),
            ),
            ['forget handover'],
            id='evicted, and asked for, but it failed lately',
        ),
        pytest.param(
            but(
                WANTED,
                image=image(updated_at=NOW - 4),
                evicted=EVICTED,
                asked=AT + 1,
                handed_over='',
            ),
            [],
            id='evicted, and asked for, but it was changed just now',
        ),
        pytest.param(
            but(WANTED, evicted=EVICTED, asked=AT - 1, handed_over=''),
            ['forget handover'],
            id='asked for before it was evicted again',
        ),
        pytest.param(
            but(DONE, used=True), [], id='uses of what is there are kept'
        ),
        pytest.param(
            but(WANTED, evicted=EVICTED, used=True),
            [],
            id='uses of what was evicted are kept',
        ),
        pytest.param(
            Facts(ID, used=True), ['forget uses'], id='used, then deleted'
        ),
        pytest.param(
            Facts(ID, known=False, used=True),
            ['forget uses'],
            id='used, and no image of this Glance',
        ),
        pytest.param(
            but(WANTED, image=image(None), evicted=EVICTED),
            ['forget eviction'],
            id='evicted, and not wanted any more',
        ),
        pytest.param(
            but(WANTED, image=image('perhaps'), evicted=EVICTED),
            [],
            id='evicted, and a slip forgets nothing',
        ),
        pytest.param(
            but(WANTED, image=None, evicted=EVICTED),
            ['forget eviction'],
            id='evicted, then its image was deleted',
        ),
        pytest.param(
            but(WANTED, known=False, image=None, evicted=EVICTED),
            ['forget eviction'],
            id='evicted, and no image of this Glance',
        ),
        pytest.param(
            but(DONE, evicted=EVICTED),
            ['remove location', 'finish eviction'],
            id='its eviction was interrupted',
        ),
        pytest.param(
            but(DONE, evicted=EVICTED, asked=AT + 1),
            ['forget eviction'],
            id='its eviction was interrupted, and it was asked for',
        ),
        pytest.param(
            but(DONE, copy=Copy('c', in_use=True), evicted=EVICTED),
            ['forget eviction'],
            id='its eviction was interrupted, and it was cloned',
        ),
        pytest.param(
            but(DONE, image=image(None), evicted=EVICTED),
            ['remove location', 'finish eviction', 'forget eviction'],
            id='its eviction was interrupted, and its wish is gone',
        ),
        pytest.param(
            but(
                DONE,
                image=image(None),
                copy=Copy('c', by_wish=False),
                evicted=EVICTED,
            ),
            ['remove location', 'finish eviction', 'forget eviction'],
            id='the eviction of what copy-image made was interrupted',
        ),
        pytest.param(
            but(DONE, copy=Copy('another'), evicted=EVICTED),
            ['forget eviction'],
            id='evicted, and made again',
        ),
        pytest.param(
            but(WANTED, part=Part('p', leased=True), evicted=EVICTED),
            [],
            id='evicted, and being made again',
        ),
        pytest.param(
            but(WANTED, part=Part('p'), evicted=EVICTED),
            ['clear dead part'],
            id='evicted, and its worker died',
        ),
        pytest.param(
            but(WANTED, part=Part('p', whole=True), evicted=EVICTED),
            ['finish commit', 'put location', 'forget eviction'],
            id='evicted, and made again but for the end',
        ),
        pytest.param(ORDERED, ['make copy'], id='ordered'),
        pytest.param(
            but(
                ORDERED,
                tasks=(Task('t', 'pending', 0, 0),),
                handed_over='t',
            ),
            ['make copy'],
            id='ordered and handed over',
        ),
        pytest.param(
            but(ORDERED, attempts=failed(5)), [], id='ordered, and given up'
        ),
        pytest.param(
            but(ORDERED, part=Part('p', leased=True)), [], id='on its way'
        ),
        pytest.param(
            but(ORDERED, part=Part('p', whole=True, by_wish=False)),
            ['finish commit', 'put location', 'forget order'],
            id='ordered, and the commit was interrupted',
        ),
        pytest.param(
            but(DONE, image=image(None), copy=Copy('c', False), ordered=True),
            ['forget order'],
            id='delivered',
        ),
        pytest.param(
            but(ORDERED, image=image('false')),
            ['forget order'],
            id='ordered, but nobody wants it',
        ),
        pytest.param(
            but(ORDERED, image=None), ['forget order'], id='ordered, deleted'
        ),
        pytest.param(
            but(ORDERED, known=False, image=None),
            ['forget order'],
            id='ordered of another Glance',
        ),
    ],
)
def test_the_plan_is(facts, kinds):
    assert planned(facts) == kinds


def test_the_default_wishes_for_what_can_be_converted():
    policy = but(POLICY, default=True)

    assert planned(Facts(ID, image=image(None)), policy) == ['make copy']
    assert planned(Facts(ID, image=image('false')), policy) == []
    for facts in ({'disk_format': 'iso'}, {'container_format': 'ova'}):
        assert planned(Facts(ID, image=image(None, **facts)), policy) == []


def test_a_second_raw_store_gets_no_copies_but_is_kept_in_order():
    policy = but(POLICY, makes=False)

    assert planned(WANTED, policy) == []
    assert planned(but(DONE, rows=()), policy) == ['put location']


def test_the_copy_says_which_task_goes_on():
    left = Task('t', 'processing', 99, 62), Task('u', 'processing', 99, 61)
    part = Part('p', resumable=True)

    def target(**facts):
        actions = plan.plan(but(WANTED, **facts), POLICY, NOW)
        return actions[-1].target

    assert target() == ''
    assert target(tasks=left) == '', 'there is nothing to go on with'
    assert target(tasks=left, part=part) == 't'
    assert target(tasks=left, part=part, handed_over='u') == 'u'
    assert target(tasks=left, handed_over='u') == 'u'
    assert target(part=part, handed_over='ended') == ''


def test_every_action_says_why():
    facts = but(WANTED, attempts=failed(2))

    (action,) = plan.plan(facts, POLICY, NOW)

    assert action.reason == 'attempt 3, after: It was full.'


# What holds for every image

rows = st.builds(row, st.sampled_from(list(Status)), st.sampled_from([7, 100]))
images = st.builds(
    Image,
    status=st.sampled_from(['active', 'active', 'deactivated', 'saving']),
    disk_format=st.sampled_from(['qcow2', 'qcow2', 'raw', 'ploop', None]),
    container_format=st.sampled_from(['bare', 'bare', 'ova', None]),
    properties=st.dictionaries(
        st.sampled_from(['raw_cache', 'raw_cache_weight', 'os_distro']),
        st.sampled_from(['true', 'false', 'perhaps', '7']),
    ),
    importing=st.booleans(),
    has_data=st.booleans(),
    updated_at=st.sampled_from([LONG_AGO, NOW - 1]),
)
ages = st.sampled_from([0.0, 29.0, 61.0, 1e6])
everything = st.builds(
    Facts,
    image_id=st.just(ID),
    known=st.booleans(),
    image=st.none() | images,
    rows=st.lists(rows, max_size=2).map(tuple),
    copy=st.none()
    | st.builds(Copy, st.just('c'), st.booleans(), st.booleans()),
    part=st.none()
    | st.builds(
        Part,
        st.just('p'),
        st.booleans(),
        st.booleans(),
        st.booleans(),
        st.booleans(),
    ),
    trashed=st.lists(
        st.builds(Trashed, st.sampled_from('xyz'), st.booleans()),
        unique_by=lambda t: t.rbd_id,
    ).map(tuple),
    tasks=st.lists(
        st.builds(
            Task,
            st.sampled_from('tuv'),
            st.sampled_from(['pending', 'processing']),
            ages,
            ages,
        ),
        unique_by=lambda t: t.task_id,
    ).map(tuple),
    attempts=st.none()
    | st.builds(
        Attempts,
        st.integers(1, 6),
        st.booleans(),
        st.just('why'),
        st.sampled_from([NOW, LONG_AGO]),
        st.sampled_from([POLICY.version(image()), 'another']),
    ),
    handed_over=st.none() | st.sampled_from(['t', 'u', 'v', 'w', '']),
    evicted=st.none()
    | st.builds(
        Evicted,
        st.just(AT),
        st.just('lru'),
        st.just(7),
        st.sampled_from(['c', 'another', '']),
    ),
    asked=st.none() | st.sampled_from([AT - 1, AT, AT + 1]),
    used=st.booleans(),
    ordered=st.booleans(),
)
policies = st.builds(
    dataclasses.replace,
    st.just(POLICY),
    default=st.booleans(),
    makes=st.booleans(),
)


#: What is gone after an action, whatever was there.
GONE = {
    Kind.REMOVE_LOCATION: {'rows': ()},
    Kind.DELETE: {'part': None, 'copy': None},
    Kind.FORGET: {'attempts': None},
    Kind.TAKE: {'handed_over': None},
    Kind.FORGET_EVICTION: {'evicted': None},
    Kind.FORGET_USES: {'used': False},
    Kind.FORGET_ORDER: {'ordered': False},
}


def carried_out(facts, action, policy):
    """The facts after an action, as the agent's own actions change them."""
    match action.kind:
        case Kind.REAP:
            left = [t for t in facts.trashed if t.rbd_id != action.target]
            return but(facts, trashed=tuple(left))
        case kind if kind in GONE:
            return but(facts, **GONE[kind])
        case Kind.COMMIT:
            assert facts.copy is None
            copy = Copy(facts.part.rbd_id, facts.part.by_wish)
            return but(facts, part=None, copy=copy)
        case Kind.CLEAR_PART:
            assert not facts.part.leased
            return but(facts, part=None)
        case Kind.PUT_LOCATION:
            wanted = metadata(facts.image, policy, facts.rows)
            return but(facts, rows=(wanted,))
        case Kind.EVICT:
            assert facts.copy.rbd_id == action.target
            assert not facts.copy.in_use
            return but(facts, copy=None)
        case Kind.SUCCEED_TASK | Kind.FAIL_TASK:
            left = [t for t in facts.tasks if t.task_id != action.target]
            return but(facts, tasks=tuple(left))
        case Kind.CONVERT:
            assert facts.copy is None
            wanted = metadata(facts.image, policy, facts.rows)
            return but(
                facts,
                part=None,
                copy=Copy('new', wish(facts.image, policy) != Wish.ABSENT),
                ordered=False,
                rows=(wanted,),
                attempts=None,
                handed_over=None,
                evicted=None,
                tasks=tuple(
                    task
                    for task in facts.tasks
                    if task.idle <= 60 and task.task_id != action.target
                ),
            )


@settings(max_examples=400)
@given(everything, policies)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(facts, policy):
    after = facts
    for action in plan.plan(facts, policy, NOW):
        after = carried_out(after, action, policy)

    assert plan.plan(after, policy, NOW) == []


@settings(max_examples=150)
@given(everything, policies)
def test_a_plan_interrupted_anywhere_is_finished_by_the_next(facts, policy):
    actions = plan.plan(facts, policy, NOW)
    for count in range(len(actions)):
        after = facts
        for action in actions[:count]:
            after = carried_out(after, action, policy)
        while more := plan.plan(after, policy, NOW):
            after = carried_out(after, more[0], policy)
        done = facts
        for action in actions:
            done = carried_out(done, action, policy)
        assert (after.rows, after.part, after.tasks) == (
            done.rows,
            done.part,
            done.tasks,
        )
        assert (after.copy is None) == (done.copy is None)


@settings(max_examples=150)
@given(everything, policies)
def test_a_living_workers_part_goes_with_its_wish_only(facts, policy):
    if facts.part is None or not facts.part.leased:
        return
    kinds = planned(facts, policy)

    assert 'clear dead part' not in kinds
    assert 'finish commit' not in kinds
    if facts.image and wish(facts.image, policy) == Wish.WANTED:
        assert 'delete copy' not in kinds
        assert 'make copy' not in kinds


@settings(max_examples=150)
@given(everything, policies)
def test_copies_of_images_that_glance_never_had_are_left(facts, policy):
    kinds = set(planned(but(facts, known=False, image=None), policy))

    assert kinds <= {
        'reap',
        'forget attempts',
        'forget handover',
        'forget eviction',
        'forget uses',
        'forget order',
    }


@settings(max_examples=150)
@given(everything, policies)
def test_what_was_evicted_is_made_again_on_demand_only(facts, policy):
    noted = facts.evicted
    if noted is None or facts.ordered or (facts.asked or 0) > noted.at:
        return

    assert 'make copy' not in planned(facts, policy)


@settings(max_examples=150)
@given(everything, policies)
def test_an_eviction_is_forgotten_with_a_copy_or_without_a_wish(facts, policy):
    after = facts
    for action in plan.plan(facts, policy, NOW):
        after = carried_out(after, action, policy)
    if facts.evicted is None or after.evicted is not None:
        return
    wished = wish(facts.image, policy) if facts.image else Wish.UNWANTED

    assert after.copy is not None or (
        not facts.known or wished in (Wish.UNWANTED, Wish.ABSENT)
    )


@settings(max_examples=150)
@given(everything, policies)
def test_what_is_in_use_is_never_reaped(facts, policy):
    reaped = {
        action.target
        for action in plan.plan(facts, policy, NOW)
        if action.kind == Kind.REAP
    }

    assert reaped == {t.rbd_id for t in facts.trashed if not t.in_use}


@pytest.mark.parametrize(
    'name',
    [
        ID,  # Nova's direct snapshot: somebody's only original
        f'{ID}_raw.part.part',
        f'{ID}_raw2',
        f'x{ID}_raw',
        f'{ID}_RAW',
        'golden-image_raw',
        f'{ID}_raw@snap',
    ],
)
def test_only_names_of_copies_can_become_facts(name):
    assert raw_copy.parse(name) is None
