# SPDX-License-Identifier: Apache-2.0
"""What is counted in any raw pool, by any number of workers."""

from concurrent import futures

from glance_rawstore import exceptions
from glance_rawstore import tally
from glance_rawstore.lifecycle import tally as counts


class TallyContract:
    """What any node adds is in what every node reads."""

    def test_nothing_was_counted_at_first(self, world):
        found = tally.read(world.pool.ioctx)

        assert set(found.results.values()) == {0.0}
        assert found.written == found.lease_losses == 0

    def test_what_two_nodes_add_at_once_is_all_there(self, world):
        pools = [world.pool, world.other_node()] * 20

        with futures.ThreadPoolExecutor(4) as many:
            for pool in pools:
                many.submit(tally.add, pool.ioctx, counts.succeeded(2.5, 7))

        found = tally.read(world.pool.ioctx)
        assert found.results['succeeded'] == 40
        assert (found.seconds, found.written) == (100, 280)
        assert found.buckets[:3] == (0, 40, 40)

    def test_a_full_pool_counts_on_but_does_not_begin_to(self, world, caplog):
        world.fill()
        try:
            tally.add(world.pool.ioctx, counts.ended(exceptions.NoSpace()))
            assert 'not counted' in caplog.text
        finally:
            world.make_room()
        tally.add(world.pool.ioctx, counts.ended(exceptions.NoSpace()))
        world.fill()
        try:
            tally.add(world.pool.ioctx, counts.ended(exceptions.NoSpace()))
        finally:
            world.make_room()

        found = tally.read(world.pool.ioctx)
        assert found.failures['no_space'] == 2

    def test_much_is_counted_to_ten_digits(self, world):
        for _ in range(3):
            additions = counts.evicted('lru', 4 << 40)
            tally.add(world.pool.ioctx, additions)

        found = tally.read(world.pool.ioctx).evicted_bytes['lru']
        assert abs(found / (12 << 40) - 1) < 1e-9
