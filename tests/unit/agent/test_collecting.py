# SPDX-License-Identifier: Apache-2.0
"""What is seen of a raw pool."""

import time

import pytest

from glance_rawstore import attempts
from glance_rawstore import directory
from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore import tally
from glance_rawstore.agent import plan
from glance_rawstore.agent import sight
from glance_rawstore.agent.collecting import Collector
from glance_rawstore.lifecycle import tally as counts
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.budget import Limits
from tests.contract.world import DATA
from tests.contract.world import volumes


def failed(count=1, refused=False):
    return Attempts(count, refused, 'It did not work.', 17.0, '1/2')


@pytest.fixture
def collector():
    return Collector(3, Limits())


def test_an_empty_pool_has_nothing_to_see(world, collector):
    found = collector.look(world.pool)

    assert (found.active, found.pending, found.trashed) == (0, (), ())
    assert found.oldest_pending is found.oldest_trashed is None
    assert found.failing == sight.Failing()
    assert (found.handed_over, found.agents) == (0, 0)


def test_copies_are_seen_with_their_bytes_and_ages(
    world, collector, monkeypatch
):
    monkeypatch.setattr(plan, 'TAKING', 0.0)
    world.copy()
    gone, _ = world.copy()
    with volumes(world, 2) as consumer:
        consumer.clone(gone, 'child')
        world.pool.delete(gone)
        image_id, rbd_id = world.begin()
        held = lease.Lease(world.pool.ioctx, rbd_id, 30)
        held.acquire()
        other, _ = world.begin()

        found = collector.look(world.pool)

        held.release()
    assert (found.active, found.active_bytes) == (1, len(DATA))
    assert (len(found.trashed), found.trashed_bytes) == (1, len(DATA))
    assert {p.image_id: p.attended for p in found.pending} == {
        image_id: True,
        other: False,
    }
    assert (found.running, found.unattended) == (1, 1)
    for since in (found.oldest_pending, found.oldest_trashed):
        assert since == pytest.approx(time.time(), abs=60)


def test_who_has_begun_just_now_is_about_to_take_the_lease(world, collector):
    world.begin()

    found = collector.look(world.pool)

    assert (found.running, found.unattended) == (1, 0)


def test_what_is_committed_while_it_is_looked_at_is_not_without_a_worker(
    world, collector, monkeypatch
):
    monkeypatch.setattr(plan, 'TAKING', 0.0)
    image_id, _ = world.begin()
    held = lease.held

    def committed(ioctx, rbd_id):
        world.pool.commit(image_id, rbd_id, {})
        return held(ioctx, rbd_id)

    monkeypatch.setattr(lease, 'held', committed)

    assert collector.look(world.pool).pending == ()


def test_what_is_not_a_copy_is_not_seen(world, collector):
    world.create('6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f')

    found = collector.look(world.pool)

    assert (found.active, found.pending) == (0, ())


def test_the_bytes_of_a_copy_are_read_once(world, collector, monkeypatch):
    world.copy()
    read, reads = directory.header, []

    def header(ioctx, rbd_id):
        reads.append(rbd_id)
        return read(ioctx, rbd_id)

    monkeypatch.setattr(directory, 'header', header)
    for _ in range(3):
        collector.look(world.pool)
    assert len(reads) == 1

    second, _ = world.copy()
    assert collector.look(world.pool).active_bytes == 2 * len(DATA)
    assert len(reads) == 2
    world.pool.delete(second)
    assert collector.look(world.pool).active_bytes == len(DATA)


def test_what_was_tried_and_counted_is_seen(world, collector):
    ioctx = world.pool.ioctx
    attempts.write(ioctx, 'one', failed())
    attempts.write(ioctx, 'two', failed(3))
    attempts.write(ioctx, 'three', failed(1, refused=True))
    handover.offer(ioctx, 'one', 'task')
    handover.Presence(ioctx).show()
    tally.add(ioctx, counts.succeeded(1, 1))

    found = collector.look(world.pool)

    assert found.failing == sight.Failing(1, ('two',), 1)
    assert (found.handed_over, found.agents) == (1, 1)
    assert found.tally.results['succeeded'] == 1


def test_an_attempt_that_goes_on_has_not_failed():
    known = {'one': failed(), 'two': failed()}

    assert sight.failing(known, frozenset({'one'}), 3).retried == 1
