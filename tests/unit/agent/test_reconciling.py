# SPDX-License-Identifier: Apache-2.0
"""Whole passes, on a Ceph and a Glance in memory."""

import dataclasses
import time
import uuid

import pytest

from glance_rawstore import attempts
from glance_rawstore import directory
from glance_rawstore import downloads
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import making
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore import slots
from glance_rawstore import uses
from glance_rawstore.agent import plan
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.converting import Conversions
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.shown import KEPT
from glance_rawstore.lifecycle.shown import Kind
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.lifecycle.uses import Count
from tests.contract.raw_pool import RawPoolContract
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL
from tests.waiting import eventually


@pytest.fixture
def told():
    return []


@pytest.fixture
def reconcile(node, told):
    """One pass with its conversions; what was done, by kind and image."""

    def run():
        told.clear()
        wanted, failed = reconciling.reconcile(node, told.append)
        assert failed == 0
        conversions = Conversions(node, told.append)
        conversions.offer(wanted)
        conversions.join()
        conversions.stop()
        done = [(str(action.kind), action.image_id) for action in told]
        return done + [('make copy', image_id) for image_id in wanted]

    return run


@pytest.fixture
def made(work, reconcile):
    """An image with its copy, made by the agent."""
    reconcile()
    assert work.world.pool.status(ID) is Status.ACTIVE
    return ID


def kinds(done):
    return [kind for kind, _image_id in done]


def set_status(work, status):
    metadata = raw_copy.location_metadata('raw', status, 100, {'n1': 5})
    work.catalog.put_location(ID, work.url, metadata)


def test_a_wished_copy_is_made_once(work, reconcile):
    assert reconcile() == [('make copy', ID)]

    RawPoolContract.check_intact(work.world, ID)
    assert work.location()['status'] == 'active'
    (task,) = work.catalog.tasks.values()
    assert task.status == 'success'
    assert reconcile() == []


def test_what_is_planned_changes_nothing(work, node):
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        ((action,),) = reconciling.planned(node, pool)

    assert action.kind == 'make copy'
    work.assert_nothing_is_left()


@pytest.mark.parametrize('properties', [{}, {'raw_cache': 'off'}])
def test_an_unwanted_copy_goes(work, reconcile, made, properties):
    work.catalog.change(made, properties=properties)

    assert kinds(reconcile()) == ['remove location', 'delete copy']

    work.assert_nothing_is_left()
    assert reconcile() == []


def test_an_unwanted_copy_with_clones_waits_for_their_end(
    work, reconcile, made
):
    with volumes(work.world, 2) as consumer:
        consumer.clone(made, 'child')
        work.catalog.change(made, properties={})
        reconcile()
        assert len(work.world.trash()) == 1
        assert reconcile() == []
        assert consumer.read('child') == DATA

    assert kinds(reconcile()) == ['reap']
    work.assert_nothing_is_left()


def test_the_copy_of_a_deleted_image_goes(work, reconcile, made):
    work.catalog.delete(made)

    assert kinds(reconcile()) == ['delete copy']
    work.assert_nothing_is_left()


def test_the_copy_of_an_image_that_glance_never_had_stays(
    work, reconcile, made
):
    """It may be the copy of another Glance, or the database another one."""
    del work.catalog.images[made]

    assert reconcile() == []
    RawPoolContract.check_intact(work.world, made)


def test_what_is_not_named_like_a_copy_stays(work, reconcile):
    del work.catalog.images[ID]
    others = sorted([ID, f'{uuid.uuid4()}', 'golden_raw', f'{ID}_raw2'])
    for name in others:
        work.world.create(name)
    work.catalog.deleted.add(ID)

    assert reconcile() == []
    assert work.world.names() == others


def test_copies_made_by_copy_image_are_kept_without_a_wish(work, reconcile):
    work.catalog.change(ID, properties={})
    work.world.copy(ID)
    set_status(work, Status.ACTIVE)

    assert reconcile() == []


@pytest.mark.parametrize('status', [Status.PENDING, Status.PENDING_DELETE])
def test_a_stale_location_is_corrected(work, reconcile, made, status):
    set_status(work, status)

    assert kinds(reconcile()) == ['put location']
    assert work.location()['status'] == 'active'


def test_a_lost_location_is_put_back(work, reconcile, made):
    before = work.location()
    work.catalog.remove_location(made, work.url)

    assert kinds(reconcile()) == ['put location']
    assert work.location() == before


def test_a_location_of_nothing_is_removed(work, reconcile):
    work.catalog.change(ID, status='deactivated')
    set_status(work, Status.ACTIVE)

    assert kinds(reconcile()) == ['remove location']
    assert work.location() is None


@pytest.mark.parametrize('until', ['snapshot', 'protect', 'rename'])
def test_an_interrupted_commit_is_finished(work, reconcile, until):
    """Killed before that step: what is whole becomes active."""
    work.world.begin(ID)
    work.world.write(ID)
    with work.world.pool.image(raw_copy.part_name(ID)) as image:
        image.metadata_set(raw_copy.META_WORKER, 'gone')
        image.metadata_set(raw_copy.META_BY_WISH, 'true')
        if until != 'snapshot':
            image.create_snap(raw_copy.SNAPSHOT)
        if until == 'rename':
            image.protect_snap(raw_copy.SNAPSHOT)

    done = kinds(reconcile())

    expected = ['make copy']
    if until != 'snapshot':
        expected = ['finish commit', 'put location']
    assert done == expected
    RawPoolContract.check_intact(work.world, ID)
    assert work.location()['status'] == 'active'
    assert reconcile() == []


def test_a_living_workers_copy_is_left_to_it(work, node, reconcile):
    part = making.reserve(work.world.other_node(), ID, node.options)
    set_status(work, Status.PENDING)

    assert reconcile() == []

    part.release()
    assert kinds(reconcile()) == ['make copy']


def test_a_dead_workers_leftovers_of_a_deleted_image_are_cleared(
    work, reconcile
):
    _, rbd_id = work.world.begin(ID)
    work.catalog.delete(ID)
    note = {raw_copy.META_WORKER: 'gone'}
    directory.change_metas(work.world.pool.ioctx, rbd_id, {}, note)

    assert kinds(reconcile()) == ['clear dead part']
    work.assert_nothing_is_left()


def test_who_has_begun_just_now_may_be_about_to_take_the_lease(
    work, reconcile, monkeypatch
):
    work.catalog.change(ID, status='importing')
    work.world.begin(ID)

    assert reconcile() == []

    monkeypatch.setattr(plan, 'TAKING', 0.0)
    assert kinds(reconcile()) == ['clear dead part']


def open_task(work, status='processing', idle=61.0, age=100.0):
    image = work.catalog.images[ID]
    task_id = work.catalog.create_task(image, 'raw', None, 'Waiting.')
    task = work.catalog.tasks[task_id]
    task.status = status
    task.updated, task.created = time.time() - idle, time.time() - age
    return task


@pytest.mark.parametrize('handed_over', [True, False])
def test_what_a_worker_has_done_that_is_gone_is_gone_on_with(
    work, node, reconcile, monkeypatch, handed_over
):
    """And its task goes on, at once, as it has lost the lease."""
    monkeypatch.setattr(resuming, '_MOMENT', 0.0)
    work.catalog.change(ID, digest='d1635t')
    image = work.catalog.image(ID)
    task_id = work.catalog.create_task(image, 'raw', None, 'Waiting.')
    work.catalog.begin_task(task_id, 'Converting.')
    pool = work.world.other_node()
    part = making.reserve(pool, ID, node.options, image.content)
    pool.resize(ID, part.rbd_id, SIZE)
    half = SIZE // 2
    halves = (Slice(0, half, 1), Slice(half, half, 1))
    kept = Slices(image.content, halves, (DONE, FREE))
    work.world.keep(ID, part.rbd_id, kept)
    if handed_over:
        part.release()
        handover.offer(pool.ioctx, ID, task_id)
    else:
        part._lease._stop.set()
        work.world.pass_time(node.options.lease_duration)

    assert reconcile() == [('make copy', ID)]

    assert work.converter.windows == [(half, half)]
    (task,) = work.catalog.tasks.values()
    assert task.status == 'success'
    assert task.result['resumed_at_percent'] == 50
    assert work.location()['status'] == 'active'
    assert reconcile() == []
    part.release()


def test_tasks_of_dead_workers_are_closed(work, reconcile):
    task = open_task(work)

    assert kinds(reconcile()) == ['fail task', 'make copy']

    assert task.status == 'failure'
    assert 'ended before it was done' in task.message
    assert reconcile() == []


def test_the_task_of_a_copy_that_is_ready_is_closed_well(
    work, reconcile, made
):
    task = open_task(work, 'pending')

    assert kinds(reconcile()) == ['close task']
    assert (task.status, task.message) == ('success', 'The raw copy is ready.')


def test_tasks_of_deleted_images_are_closed(work, reconcile):
    task = open_task(work)
    work.catalog.delete(ID)

    assert kinds(reconcile()) == ['fail task']
    assert task.status == 'failure'


def test_another_nodes_conversion_that_is_under_way_is_left_to_it(
    work, reconcile
):
    open_task(work, idle=1)

    assert reconcile() == []


def test_what_was_refused_is_not_tried_again(work, reconcile):
    work.catalog.add(ID, b'no qcow2'.ljust(5000))
    assert kinds(reconcile()) == ['make copy']
    assert reconcile() == []

    now = time.time()
    work.catalog.change(ID, updated_at=now - 10)

    assert kinds(reconcile()) == ['make copy']


def test_attempts_at_what_is_not_wanted_any_more_are_forgotten(
    work, reconcile
):
    ioctx = work.world.other_node().ioctx
    attempts.write(ioctx, ID, Attempts(1, False, 'why', 0.0, 'x'))
    attempts.write(ioctx, 'gone', Attempts(1, False, 'why', 0.0, 'x'))
    work.catalog.change(ID, properties={})

    assert kinds(reconcile()) == ['forget attempts', 'forget attempts']
    assert attempts.read_all(ioctx) == {}


def noted(work, rbd_id):
    value = Evicted(time.time(), 'lru', 7, rbd_id)
    evicted.note(work.world.pool.ioctx, ID, value)


@pytest.mark.parametrize('until', ['note', 'location', 'trash', 'purge'])
def test_an_eviction_that_was_interrupted_is_finished_and_lasts(
    work, reconcile, made, until
):
    steps = ['note', 'location', 'trash', 'purge']
    done = steps[: steps.index(until) + 1]
    rbd_id = work.world.pool.rbd_id(raw_copy.name(ID))
    noted(work, rbd_id)
    if 'location' in done:
        work.catalog.remove_location(ID, work.url)
    if 'trash' in done:
        work.world.pool._trash(raw_copy.name(ID))
    if 'purge' in done:
        work.world.pool.purge(rbd_id)

    left = {
        'note': ['remove location', 'finish eviction'],
        'location': ['finish eviction'],
        'trash': ['reap'],
        'purge': [],
    }
    assert kinds(reconcile()) == left[until]

    work.assert_nothing_is_left()
    assert evicted.read(work.world.pool.ioctx, ID) is not None
    assert reconcile() == []


def test_a_copy_that_was_cloned_before_its_eviction_was_done_stays(
    work, reconcile, made
):
    noted(work, work.world.pool.rbd_id(raw_copy.name(ID)))
    with volumes(work.world, 2) as consumer:
        consumer.clone(made, 'child')

        assert kinds(reconcile()) == ['forget eviction']

        RawPoolContract.check_intact(work.world, ID)


def test_an_evicted_copy_is_made_again_when_it_may_be(work, reconcile, made):
    rbd_id = work.world.pool.rbd_id(raw_copy.name(ID))
    noted(work, rbd_id)
    reconcile()
    evicted.forget(work.world.pool.ioctx, ID)

    assert kinds(reconcile()) == ['make copy']
    RawPoolContract.check_intact(work.world, ID)


def test_an_evicted_copy_is_made_again_when_it_is_asked_for(
    work, reconcile, made
):
    noted(work, work.world.pool.rbd_id(raw_copy.name(ID)))
    reconcile()
    ioctx = work.world.pool.ioctx
    uses.add(ioctx, {ID: Count(1, last=time.time())}, 60.0)
    assert kinds(reconcile()) == []

    uses.add(ioctx, {ID: Count(asked=time.time() + 1)}, 60.0)
    handover.ask(ioctx, ID)

    assert kinds(reconcile()) == ['make copy']
    assert handover.all_offered(ioctx) == {}
    RawPoolContract.check_intact(work.world, ID)


def test_uses_of_an_image_that_is_gone_are_forgotten(work, reconcile, made):
    ioctx = work.world.pool.ioctx
    counts = {ID: Count(3, last=time.time()), 'nobodys': Count(1, last=1.0)}
    uses.add(ioctx, counts, 60.0)
    assert kinds(reconcile()) == ['forget uses']
    assert list(uses.read_all(ioctx)) == [ID]

    work.catalog.delete(ID)

    assert kinds(reconcile()) == ['delete copy', 'forget uses']
    assert uses.read_all(ioctx) == {}


def test_downloads_of_long_ago_are_forgotten(work, reconcile):
    ioctx, now = work.world.pool.ioctx, time.time()
    note, old = Note(Kind.DOWNLOADS), now - KEPT - 60
    downloads.note(ioctx, ID, 'old', note, old)
    downloads.note(ioctx, ID, 'new', note, now)
    evicted.leave_trace(ioctx, str(uuid.uuid4()), old)
    evicted.leave_trace(ioctx, ID, now)

    reconcile()

    assert downloads.noted(ioctx, ID, 'new', now).note == note
    assert downloads.forget_old(ioctx, now) == 0
    assert evicted.read_why(ioctx, ID, now)[1] is not None
    assert evicted.forget_traces(ioctx, now) == 0


def test_making_a_copy_forgets_that_it_was_evicted(work, reconcile):
    noted(work, 'another')

    work.run()

    assert evicted.read_all(work.world.pool.ioctx) == {}
    RawPoolContract.check_intact(work.world, ID)
    assert reconcile() == []


@pytest.mark.parametrize('change', ['wish', 'image'])
def test_what_nobody_wishes_for_is_not_evicted_any_more(
    work, reconcile, change
):
    noted(work, 'another')
    if change == 'wish':
        work.catalog.change(ID, properties={})
    else:
        work.catalog.delete(ID)

    assert kinds(reconcile()) == ['forget eviction']
    assert evicted.read_all(work.world.pool.ioctx) == {}


def test_an_error_with_one_image_does_not_keep_the_others(
    work, node, told, monkeypatch
):
    other = str(uuid.uuid4())
    work.catalog.add(other, ORIGINAL, updated_at=0.0)
    set_status(work, Status.ACTIVE)  # to be removed, so it is looked at

    def broken(image_id, url):
        raise exceptions.CephUnavailable('It did not answer.')

    monkeypatch.setattr(work.catalog, 'remove_location', broken)

    wanted, failed = reconciling.reconcile(node, told.append)

    assert (wanted, failed) == ([other], 1)


def test_the_facts_of_one_image_are_those_of_the_listing(work, node, made):
    """Of the listing a hint will do, but nothing may be missing."""
    work.world.begin(str(uuid.uuid4()))
    open_task(work)
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        reader = node.actor(pool, print).reader
        for listed in reader.all():
            exact = reader.one(listed.image_id)
            now = time.time()
            assert [a.kind for a in plan.plan(listed, node.policy, now)] == [
                a.kind for a in plan.plan(exact, node.policy, now)
            ]


def test_a_free_slot_is_waited_for_and_the_image_looked_at_again(
    work, node, monkeypatch
):
    monkeypatch.setattr(slots, '_RETRY', 0.01)
    ended = []
    with slots.slot(str(work.scratch), 1, time.sleep):
        conversions = Conversions(node, ended=lambda *how: ended.append(how))
        conversions.offer([ID, ID])
        work.world.copy(ID)  # by another node
    conversions.join()
    conversions.stop()

    assert ended == []
    assert work.catalog.tasks == {}


def test_who_is_told_to_stop_undoes_and_leaves_it_to_others(work, node):
    conversions = Conversions(node)
    work.converter.during = lambda _calls: conversions._stop.set()

    conversions.offer([ID])
    conversions.join()
    conversions.stop()

    work.assert_nothing_is_left()
    (task,) = work.catalog.tasks.values()
    assert task.status == 'failure'
    assert attempts.read_all(work.world.pool.ioctx) == {}
    conversions.offer([ID])
    conversions.join()
    assert len(work.catalog.tasks) == 1


def test_many_images_are_converted_by_two_nodes_each_once(work, node):
    ids = [str(uuid.uuid4()) for _ in range(6)]
    work.converter.convert = lambda *_, **__: None  # nothing but holes
    for image_id in ids:
        work.catalog.add(image_id, ORIGINAL, updated_at=0.0)
    options = dataclasses.replace(node.options, max_conversions=2)
    nodes = [dataclasses.replace(node, options=options) for _ in range(2)]
    both = [Conversions(found) for found in nodes]
    for conversions in both:
        conversions.offer([*ids, ID])
    for conversions in both:
        conversions.join()
        conversions.stop()

    names = sorted(f'{image_id}_raw' for image_id in [*ids, ID])
    assert work.world.names() == names
    results = [task.result for task in work.catalog.tasks.values()]
    assert sum('seconds' in (result or {}) for result in results) == 7
    assert {t.status for t in work.catalog.tasks.values()} == {'success'}


def test_of_what_is_offered_projects_take_turns(work, node):
    work.converter.convert = lambda *_, **__: None
    work.catalog.images.clear()
    owners = [*'aaaa', *'bb', None]
    ids = [str(uuid.uuid4()) for _ in owners]
    for image_id, owner in zip(ids, owners, strict=True):
        work.catalog.add(image_id, ORIGINAL, updated_at=0.0, owner=owner)
    conversions = Conversions(node)
    with slots.slot(str(work.scratch), 1, time.sleep):
        conversions.offer(ids[:1])
        eventually(lambda: conversions._running, 'the first one is begun')
        conversions.offer(ids)
    conversions.join()
    conversions.stop()

    begun = [task.image_id for task in work.catalog.tasks.values()]
    order = [owners[ids.index(i)] for i in begun]
    # Two of the first are out of the line before another is offered.
    assert order[0] == 'a'
    assert {'b', None} <= set(order[1:5]), order


def test_one_whose_owner_cannot_be_seen_is_converted_too(
    work, node, monkeypatch
):
    conversions = Conversions(node)
    look = work.catalog.image
    answers = iter([ZeroDivisionError])

    def image(image_id):
        for error in answers:
            raise error
        return look(image_id)

    monkeypatch.setattr(work.catalog, 'image', image)
    conversions.offer([ID])
    conversions.join()
    conversions.stop()

    assert work.world.names() == [f'{ID}_raw']
