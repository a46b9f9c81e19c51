# SPDX-License-Identifier: Apache-2.0
"""Reserving and filling a copy, in a pool in memory."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import making
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.options import Options
from tests.contract.lease import dies
from tests.contract.world import SIZE

MIB, GIB = 1 << 20, 1 << 30
ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
OPTIONS = Options(
    max_size=GIB,
    max_conversions=2,
    address_space=4 * GIB,
    cpu_time=60,
    cpu_time_per_gib=60,
    requests=4,
    stall_timeout=60,
    lease_duration=30,
    scratch_dir='/nonexistent',
    object_size=8 * MIB,
    weight=100,
    node_weights={},
)


def reserve(pool, size=SIZE):
    """Reserve, and let go of the lease; the internal id of the ``.part``."""
    part = making.reserve(pool, ID, OPTIONS)
    pool.resize(ID, part.rbd_id, size)
    part.release()
    return part.rbd_id


@pytest.fixture
def leases(monkeypatch):
    """Leases that are still held when the test ends are released."""
    taken = []
    acquire = lease.Lease.acquire

    def noted(self):
        acquire(self)
        taken.append(self)

    monkeypatch.setattr(lease.Lease, 'acquire', noted)
    yield taken
    for each in taken:
        each.release()


@pytest.mark.usefixtures('leases')
class TestReserve:
    """One worker has the ``.part`` and the lease on it."""

    def test_the_part_is_there_and_ours(self, world, leases):
        part = making.reserve(world.pool, ID, OPTIONS)

        assert world.pool.has_part(ID, part.rbd_id)
        assert world.pool.size(ID) == 0, 'not known yet'
        assert not any(taken.lost for taken in leases)

    def test_a_living_worker_is_left_alone(self, world, leases):
        part = making.reserve(world.pool, ID, OPTIONS)

        with pytest.raises(exceptions.LeaseHeld):
            making.reserve(world.other_node(), ID, OPTIONS)

        assert world.pool.has_part(ID, part.rbd_id)
        assert not any(taken.lost for taken in leases)

    def test_what_is_made_already_is_left_alone(self, world):
        world.copy(ID)

        with pytest.raises(exceptions.CopyExists):
            making.reserve(world.pool, ID, OPTIONS)

        assert world.names() == [f'{ID}_raw']

    def test_what_a_dead_worker_left_is_taken_over(self, world):
        first = reserve(world.other_node())
        dies(world.other_node(), first, OPTIONS.lease_duration)
        with pytest.raises(exceptions.LeaseHeld):
            reserve(world.pool)

        world.pass_time(OPTIONS.lease_duration)
        second = reserve(world.pool)

        assert first != second
        assert world.pool.has_part(ID, second)
        assert world.trash() == []

    def test_nothing_is_left_where_the_lease_cannot_be_had(
        self, world, monkeypatch
    ):
        acquire = lease.Lease.acquire

        def fails_once(_self):
            monkeypatch.setattr(lease.Lease, 'acquire', acquire)
            raise exceptions.CephUnavailable('away')

        monkeypatch.setattr(lease.Lease, 'acquire', fails_once)

        with pytest.raises(exceptions.CephUnavailable):
            making.reserve(world.pool, ID, OPTIONS)

        assert world.names() == world.trash() == []

    def test_the_lease_is_given_up_though_nothing_can_be_undone(
        self, world, monkeypatch
    ):
        """Nobody else could ever make the copy, while its holder lives."""

        def away(*_args):
            raise exceptions.CephUnavailable()

        monkeypatch.setattr(resuming, 'claim', away)
        monkeypatch.setattr(raw_pool.RawPool, 'discard', away)

        with pytest.raises(exceptions.CephUnavailable):
            making.reserve(world.pool, ID, OPTIONS)

        assert not lease.held(world.pool.ioctx, world.part_id(ID))

    def test_who_is_slow_does_not_destroy_what_another_began(
        self, world, leases
    ):
        """The other takes the slow one's ``.part``, not yet leased, for a
        dead worker's, and makes a new one under the same name.
        """
        other = []

        def overtake():
            pool = world.other_node()
            other.append(making.reserve(pool, ID, OPTIONS))

        world.cluster.on('create', after=overtake)
        with pytest.raises(exceptions.LeaseHeld):
            making.reserve(world.pool, ID, OPTIONS)

        (part,) = other
        assert world.pool.has_part(ID, part.rbd_id)
        assert not any(taken.lost for taken in leases)

    def test_what_is_gone_before_it_was_cleared_away_is_begun_anew(
        self, world, monkeypatch
    ):
        """Its worker undid it itself in this moment."""
        first = reserve(world.other_node())
        undo = world.other_node().discard
        rbd_id = raw_pool.RawPool.rbd_id

        def gone_after(pool, name):
            found = rbd_id(pool, name)
            if found == first:
                monkeypatch.setattr(raw_pool.RawPool, 'rbd_id', rbd_id)
                undo(ID, first)
            return found

        monkeypatch.setattr(raw_pool.RawPool, 'rbd_id', gone_after)
        second = reserve(world.pool)

        assert world.pool.has_part(ID, second)
