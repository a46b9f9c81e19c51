# SPDX-License-Identifier: Apache-2.0
"""How often copies were handed out, in any raw pool."""

import threading

import pytest

from glance_rawstore import exceptions
from glance_rawstore import omap
from glance_rawstore import uses
from glance_rawstore.lifecycle.uses import Count
from glance_rawstore.lifecycle.uses import Use

HOUR = 3600.0
NOW = 1_000_000.0


class UsesContract:
    """What any worker has counted, every node reads."""

    def test_nothing_is_known_at_first(self, world):
        assert uses.read(world.pool.ioctx, 'one') is None
        assert uses.read_all(world.pool.ioctx) == {}
        uses.forget(world.pool.ioctx, 'one')
        assert uses.read_all(world.pool.ioctx) == {}

    def test_what_was_counted_adds_up(self, world):
        ioctx, other = world.pool.ioctx, world.other_node().ioctx
        uses.add(ioctx, {'one': Count(4, NOW), 'two': Count(1, NOW)}, HOUR)
        uses.add(other, {'one': Count(1, NOW + HOUR)}, HOUR)
        uses.add(ioctx, {'one': Count(asked=NOW)}, HOUR)

        one = Use(last=NOW + HOUR, score=3.0, at=NOW + HOUR, asked=NOW)
        two = Use(last=NOW, score=1.0, at=NOW)
        assert uses.read_all(other) == {'one': one, 'two': two}
        assert uses.read(other, 'one') == one

    def test_workers_do_not_lose_each_others_counts(self, world):
        nodes = [world.other_node().ioctx for _ in range(4)]

        def count(ioctx):
            for _ in range(10):
                counts = {'one': Count(1, NOW), 'two': Count(2, NOW)}
                uses.add(ioctx, counts, HOUR)

        threads = [
            threading.Thread(target=count, args=(node,)) for node in nodes
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        found = uses.read_all(world.pool.ioctx)
        assert {i: use.score for i, use in found.items()} == {
            'one': 40.0,
            'two': 80.0,
        }

    def test_who_has_read_what_is_old_writes_nothing(self, world):
        table = omap.Table('glance_rawstore.any')
        ioctx = world.pool.ioctx
        assert table.change(ioctx, {}, {'one': b'1', 'two': b'1'})

        old = {'one': b'0', 'two': b'1'}
        changes = [old, {'one': b'1'}, {}]
        for before in changes:
            assert not table.change(ioctx, before, {'one': b'2', 'two': b'2'})

        assert table.read_all(ioctx) == {'one': b'1', 'two': b'1'}
        before = table.read_all(ioctx)
        assert table.change(ioctx, before, {'one': b'2', 'two': b'2'})
        assert table.read_all(ioctx) == {'one': b'2', 'two': b'2'}

    def test_an_entry_that_is_something_else_is_replaced(self, world):
        table = omap.Table(uses.OBJECT)
        for value in (b'\xff\x00', b'{}', b''):
            table.write(world.pool.ioctx, 'one', value)

            assert uses.read(world.pool.ioctx, 'one') is None
            uses.add(world.pool.ioctx, {'one': Count(1, NOW)}, HOUR)

            assert uses.read(world.pool.ioctx, 'one').score == 1.0

    def test_what_is_forgotten_is_gone(self, world):
        counts = {'one': Count(1, NOW), 'two': Count(1, NOW)}
        uses.add(world.pool.ioctx, counts, HOUR)

        for image_id in ('one', 'three'):
            uses.forget(world.pool.ioctx, image_id)

        assert list(uses.read_all(world.pool.ioctx)) == ['two']

    def test_it_can_be_counted_on_when_the_pool_is_full(self, world):
        ioctx = world.pool.ioctx
        uses.add(ioctx, {'one': Count(1, NOW)}, HOUR)
        world.fill()
        try:
            uses.add(ioctx, {'one': Count(1, NOW)}, HOUR)
            assert uses.read(ioctx, 'one').score == 2.0
        finally:
            world.make_room()

    def test_nothing_is_counted_while_nothing_answers(self, world):
        with world.away() as pool, pytest.raises(exceptions.CephUnavailable):
            uses.add(pool.ioctx, {'one': Count(1, NOW)}, HOUR)

        assert uses.read_all(world.pool.ioctx) == {}
