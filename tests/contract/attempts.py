# SPDX-License-Identifier: Apache-2.0
"""What is known of failed attempts, in any raw pool."""

import dataclasses

from glance_rawstore import attempts
from glance_rawstore import omap
from glance_rawstore.lifecycle.attempts import Attempts

ONE = Attempts(1, False, 'The pool for raw copies is full.', 17.0, '1/2')
TWO = dataclasses.replace(ONE, count=2)


class AttemptsContract:
    """Every node reads what any node has written."""

    def test_nothing_is_known_at_first(self, world):
        assert attempts.read(world.pool.ioctx, 'one') is None
        assert attempts.read_all(world.pool.ioctx) == {}

    def test_forgetting_what_was_never_known_makes_nothing(self, world):
        attempts.forget(world.pool.ioctx, 'one')

        assert attempts.read_all(world.pool.ioctx) == {}

    def test_what_was_written_last_is_read_by_another_node(self, world):
        attempts.write(world.pool.ioctx, 'one', ONE)
        attempts.write(world.pool.ioctx, 'one', TWO)
        attempts.write(world.pool.ioctx, 'two', ONE)
        other = world.other_node().ioctx

        assert attempts.read(other, 'one') == TWO
        assert attempts.read(other, 'three') is None
        assert attempts.read_all(other) == {'one': TWO, 'two': ONE}

    def test_what_is_forgotten_is_gone(self, world):
        attempts.write(world.pool.ioctx, 'one', ONE)
        attempts.write(world.pool.ioctx, 'two', TWO)

        attempts.forget(world.pool.ioctx, 'one')
        attempts.forget(world.pool.ioctx, 'one')

        assert attempts.read_all(world.pool.ioctx) == {'two': TWO}

    def test_all_are_read_however_many_there_are(self, world, monkeypatch):
        monkeypatch.setattr(omap, '_PAGE', 2)
        for number in range(5):
            attempts.write(world.pool.ioctx, f'image-{number}', ONE)

        assert len(attempts.read_all(world.pool.ioctx)) == 5

    def test_it_can_be_written_when_the_pool_is_full(self, world):
        """When else; but the first entry of all needs room."""
        attempts.write(world.pool.ioctx, 'one', ONE)
        world.fill()
        try:
            attempts.write(world.pool.ioctx, 'one', TWO)
            assert attempts.read(world.pool.ioctx, 'one') == TWO
            attempts.forget(world.pool.ioctx, 'one')
        finally:
            world.make_room()
