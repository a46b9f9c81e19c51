# SPDX-License-Identifier: Apache-2.0
"""Evicting, on a Ceph and a Glance in memory."""

import contextlib
import dataclasses
import uuid

import pytest

from glance_rawstore import budget
from glance_rawstore import ceph
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import tally
from glance_rawstore import uses
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.node import Node
from glance_rawstore.agent.policy import Policy as AgentPolicy
from glance_rawstore.evicting import Evictor
from glance_rawstore.eviction import loading
from glance_rawstore.eviction.base import Policy
from glance_rawstore.lease import Lease
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Retry
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.lifecycle.events import Event
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.lifecycle.uses import Count
from tests.contract.raw_pool import RawPoolContract
from tests.contract.world import DATA
from tests.contract.world import volumes
from tests.fakes.catalog import FakeCatalog
from tests.unit.tasks.conftest import Work

#: What each copy uses.
ONE = len(DATA)
HALF_LIFE = 3600


class Cache:
    """A raw store with a budget of ten copies, of which it has some.

    Above 8 of them it is evicted down to 5.
    """

    def __init__(self, world, catalog, options):
        self.world = world
        self.pool = world.pool
        self.catalog = catalog
        limits = Limits(bytes=10 * ONE, high=80, low=50)
        self.options = dataclasses.replace(
            options, budget=limits, eviction_policy='oldest'
        )
        self.images = []
        self.told = []

    def add(self, count=1, **facts):
        """Make copies, each a minute after the one before; their images."""
        made = []
        for _ in range(count):
            self.world.pass_time(60)
            image_id = str(uuid.uuid4())
            self.catalog.add(image_id, b'', updated_at=0.0, **facts)
            self.world.copy(image_id)
            metadata = raw_copy.location_metadata(
                'raw', Status.ACTIVE, 100, {'n1': 5}
            )
            url = self.pool.url(image_id)
            self.catalog.put_location(image_id, url, metadata)
            made.append(image_id)
        self.images += made
        return made

    def evictor(self, pool=None, policy='oldest'):
        options = dataclasses.replace(self.options, eviction_policy=policy)
        return Evictor(
            self.catalog,
            pool or self.pool,
            options,
            lambda *what: self.told.append(what),
            self.world.cluster.clock,
        )

    def use(self, image_id, count=1):
        now = self.world.cluster.clock()
        uses.add(self.pool.ioctx, {image_id: Count(count, now)}, HALF_LIFE)

    def budget(self):
        return budget.read(self.pool, self.options.budget)

    def left(self):
        """Images that have a copy still, in the order of their making."""
        there = set(inventory.active_images(self.pool))
        assert there == {
            image_id
            for image_id in self.images
            if self.catalog.locations(image_id, self.pool.url(image_id))
        }
        return [image_id for image_id in self.images if image_id in there]


@pytest.fixture
def work(world, tmp_path):
    return Work(world, tmp_path / 'scratch')


@pytest.fixture
def node(work, cache):
    """A node of the agent's that has the same catalog."""
    return Node(
        store=work.stores['raw'],
        all_stores=work.stores,
        options=cache.options,
        policy=AgentPolicy(
            store='raw',
            makes=True,
            default=False,
            weight=100,
            node_weights={'n1': 5},
            max_size=1 << 40,
            retry=Retry(60, 5),
        ),
        catalog=cache.catalog,
    )


@pytest.fixture
def cache(world, tmp_path):
    return Cache(world, FakeCatalog(), Work(world, tmp_path).options)


def test_above_the_high_watermark_copies_go_down_to_the_low_one(cache):
    images = cache.add(9)

    cache.evictor().relieve()

    assert cache.left() == images[4:]
    assert cache.budget().taken == 5 * ONE
    noted = evicted.read_all(cache.pool.ioctx)
    assert set(noted) == set(images[:4])
    assert {n.policy for n in noted.values()} == {'oldest'}
    assert {n.bytes for n in noted.values()} == {ONE}
    assert cache.world.trash() == []


def test_below_it_nothing_goes(cache):
    images = cache.add(8)

    cache.evictor().relieve()

    assert cache.left() == images
    assert cache.told == []


def test_it_is_told_once_with_figures_and_counted(cache):
    images = cache.add(9)
    due = cache.evictor().due()

    cache.evictor().relieve()

    assert cache.told == due
    assert [image_id for image_id, _ in due] == images[:4]
    assert due[0][1] == (
        'by the policy oldest: it uses 20.5 KiB; 184.6 KiB of 205.1 KiB '
        'were taken'
    )
    counted = tally.read(cache.pool.ioctx)
    assert counted.evictions == {'oldest': 4}
    assert counted.evicted_bytes == {'oldest': 4 * ONE}
    assert [
        (event, said['image_id'], said['policy'], said['bytes_used'])
        for event, said in cache.catalog.told
    ] == [(Event.EVICT, i, 'oldest', ONE) for i in images[:4]]


@pytest.mark.parametrize(
    ('policy', 'left'),
    [
        ('oldest', [4, 5, 6, 7, 8]),
        ('lru', [1, 5, 6, 7, 8]),
        ('popularity', [0, 5, 6, 7, 8]),
        ('never', [0, 1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_every_policy_evicts_what_it_should(cache, policy, left):
    """One was used three times, long ago, another once, last."""
    images = cache.add(2)
    cache.use(images[0], 3)
    images += cache.add(7)
    cache.use(images[1], 1)
    if policy == 'popularity':  # by then its only use is worth little
        cache.world.pass_time(3600)
        cache.use(images[0], 1)
        for image_id in images[5:]:
            cache.use(image_id)

    cache.evictor(policy=policy).relieve()

    assert [images.index(image_id) for image_id in cache.left()] == left


def test_what_is_protected_in_use_being_finished_or_unknown_stays(cache):
    yes = {'raw_cache': 'true', 'raw_cache_protected': 'true'}
    (protected,) = cache.add(properties=yes)
    cloned, finished, unknown = cache.add(3)
    others = cache.add(5)
    del cache.catalog.images[unknown]
    cache.images.remove(unknown)
    rbd_id = cache.pool.rbd_id(raw_copy.name(finished))
    lease = Lease(cache.world.other_node().ioctx, rbd_id, 30)
    lease.acquire()
    with volumes(cache.world, 2) as consumer:
        consumer.clone(cloned, 'child')

        cache.evictor().relieve()

        assert cache.budget().taken == 5 * ONE
        RawPoolContract.check_intact(cache.world, unknown)
        cache.pool.delete(unknown)
        assert cache.left() == [protected, cloned, finished, *others[4:]]
        assert consumer.read('child') == DATA


@pytest.mark.parametrize('value', ['false', 'perhaps', ''])
def test_only_a_plain_yes_protects(cache, value):
    properties = {'raw_cache': 'true', 'raw_cache_protected': value}
    images = cache.add(9, properties=properties)

    cache.evictor().relieve()

    assert cache.left() == images[4:]


def test_room_is_made_for_what_is_wanted(cache):
    images = cache.add(7)

    cache.evictor().make_room(cache.budget(), 2 * ONE)

    assert cache.left() == images[4:], 'three, and the two'


def test_nothing_goes_for_what_does_not_fit_in_the_end(cache):
    images = cache.add(7)

    cache.evictor().make_room(cache.budget(), 11 * ONE)

    assert cache.left() == images


def test_who_cannot_evict_tells_so_and_goes_on(cache, monkeypatch, caplog):
    images = cache.add(9)

    def broken(image_id, url):
        raise RuntimeError('the database is away')

    monkeypatch.setattr(cache.catalog, 'remove_location', broken)

    cache.evictor().relieve()

    assert cache.left() == images
    assert 'the database is away' in caplog.text


def test_a_clone_in_the_last_moment_keeps_its_data(cache, monkeypatch):
    """Made when nobody could see it coming; the next copy goes instead."""
    images = cache.add(9)
    remove = cache.catalog.remove_location
    with volumes(cache.world, 2) as consumer:

        def cloned_before(image_id, url):
            if image_id == images[0]:
                consumer.clone(image_id, 'child')
            remove(image_id, url)

        monkeypatch.setattr(cache.catalog, 'remove_location', cloned_before)

        cache.evictor().relieve()

        assert consumer.read('child') == DATA
        assert len(cache.world.trash()) == 1
        # It counts until it is gone, so one more had to go.
        assert cache.left() == images[5:]
        assert cache.budget().taken == 5 * ONE

    assert inventory.reap(cache.pool).gone == (images[0],)
    assert cache.budget().taken == 4 * ONE


def test_one_that_is_cloned_while_others_go_stays(cache, monkeypatch):
    images = cache.add(9)
    note = evicted.note
    with volumes(cache.world, 2) as consumer:

        def cloned_after(ioctx, image_id, value):
            note(ioctx, image_id, value)
            if image_id == images[1]:
                consumer.clone(image_id, 'child')

        monkeypatch.setattr(evicted, 'note', cloned_after)

        cache.evictor().relieve()

        assert cache.left() == [images[1], *images[5:]]
        assert images[1] not in evicted.read_all(cache.pool.ioctx)


class Killed(BaseException):
    """No process survives it."""


STEPS = {
    'note': (evicted, 'note'),
    'location': (FakeCatalog, 'remove_location'),
    'trash': (None, '_trash'),
    'purge': (None, 'purge'),
    'count': (tally, 'add'),
    'release': (budget, 'release'),
}


@pytest.mark.parametrize('after', [False, True])
@pytest.mark.parametrize('step', list(STEPS))
def test_who_is_killed_at_any_step_leaves_what_another_finishes(
    cache, node, monkeypatch, step, after
):
    images = cache.add(10)
    where, name = STEPS[step]
    killed = cache.world.other_node()
    target = killed if where is None else where
    call = getattr(target, name)

    def deadly(*args):
        if after:
            call(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(target, name, deadly)
        with pytest.raises(Killed):
            cache.evictor(killed).relieve()
    cache.world.pass_time(budget.DURATION + 1)

    reconciling.reconcile(node)

    assert cache.budget().taken == 5 * ONE
    assert cache.left() == images[5:]
    assert cache.world.trash() == []
    assert set(evicted.read_all(cache.pool.ioctx)) == set(images[:5])
    assert reconciling.reconcile(node) == ([], 0), 'none is made again'
    assert cache.left() == images[5:]


def test_without_a_limit_ceph_is_not_even_asked(cache):
    cache.options = dataclasses.replace(cache.options, budget=Limits())
    cache.add(2)
    with cache.world.away():
        cache.evictor().relieve()

    assert budget._known(cache.pool.ioctx) == {}


def test_what_is_written_down_is_put_right_at_each_look(cache):
    cache.add(2)
    assert budget._known(cache.pool.ioctx) == {}

    cache.evictor().relieve()

    assert len(budget._known(cache.pool.ioctx)) == 2


def test_who_finds_another_at_it_leaves_it_to_that_one(cache):
    images = cache.add(9)
    other = cache.world.other_node().ioctx
    with budget.locked(other, lambda _seconds: pytest.fail('it is free')):
        cache.evictor().relieve()

        assert cache.left() == images


class Odd(Policy):
    """A policy that somebody else has written."""

    def rank(self, candidates, usage, now):
        foreign = dataclasses.replace(candidates[0], image_id='x', rbd_id='x')
        assert usage.used == 9 * ONE
        return [foreign, candidates[3], candidates[3], *candidates]


def test_a_policy_may_answer_what_it_likes(cache, monkeypatch):
    images = cache.add(9)
    monkeypatch.setattr(loading, 'load', lambda *_: Odd(HALF_LIFE))

    cache.evictor().relieve()

    assert len(cache.left()) == 5
    order = [image_id for image_id, _ in cache.told]
    assert len(order) == len(set(order)) == 4
    assert set(order) <= set(images)


def test_a_policy_that_fails_evicts_nothing(cache, monkeypatch, caplog):
    images = cache.add(9)

    class Broken(Policy):
        def rank(self, candidates, usage, now):
            raise ZeroDivisionError

    monkeypatch.setattr(loading, 'load', lambda *_: Broken(HALF_LIFE))

    cache.evictor().relieve()

    assert cache.left() == images
    assert 'ZeroDivisionError' in caplog.text


def test_a_full_pool_can_be_relieved(cache):
    cache.evictor().relieve()  # as an agent did when it was not full
    images = cache.add(9)
    cache.world.fill()
    try:
        cache.evictor().relieve()
    finally:
        cache.world.make_room()

    assert cache.left() == images[4:]


def test_a_pool_that_was_full_before_it_had_a_budget_is_left_alone(
    cache, node, caplog
):
    images = cache.add(9)
    cache.world.fill()

    assert reconciling.reconcile(node) == ([], 0)

    assert cache.left() == images
    assert 'The budget cannot be kept to: The pool' in caplog.text


def test_a_trash_that_somebody_else_uses_is_left_alone(cache):
    cache.add(9)
    cache.world.create('golden')
    ceph.rbd.RBD().trash_move(cache.pool.ioctx, 'golden', 0)

    cache.evictor().relieve()

    assert len(cache.world.trash()) == 1
    with contextlib.suppress(exceptions.RawStoreError):
        assert cache.budget().taken == 5 * ONE


def test_one_that_cannot_be_opened_does_not_keep_others_from_going(cache):
    broken, *others = cache.add(9)
    cache.world.damage(cache.pool.rbd_id(raw_copy.name(broken)))

    cache.evictor().relieve()

    assert {image_id for image_id, _ in cache.told} == set(others[:4])
