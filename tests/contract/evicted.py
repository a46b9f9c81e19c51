# SPDX-License-Identifier: Apache-2.0
"""What is noted of evictions, in any raw pool."""

import pytest

from glance_rawstore import ceph
from glance_rawstore import evicted
from glance_rawstore.lifecycle.evicted import Evicted
from tests.contract.world import DATA
from tests.contract.world import volumes

ONE = Evicted(17.5, 'lru', 4096, '5e1')
TWO = Evicted(18.0, 'operator', 1)


class EvictedContract:
    """Every node reads what any node has noted."""

    def test_nothing_is_evicted_at_first(self, world):
        assert evicted.read(world.pool.ioctx, 'one') is None
        assert evicted.read_all(world.pool.ioctx) == {}

    def test_what_was_noted_is_read_by_another_node(self, world):
        evicted.note(world.pool.ioctx, 'one', TWO)
        evicted.note(world.pool.ioctx, 'one', ONE)
        evicted.note(world.pool.ioctx, 'two', TWO)
        other = world.other_node().ioctx

        assert evicted.read(other, 'one') == ONE
        assert evicted.read(other, 'three') is None
        assert evicted.read_all(other) == {'one': ONE, 'two': TWO}

    def test_what_is_forgotten_is_gone(self, world):
        evicted.note(world.pool.ioctx, 'one', ONE)
        evicted.note(world.pool.ioctx, 'two', TWO)

        evicted.forget(world.pool.ioctx, 'one')
        evicted.forget(world.pool.ioctx, 'one')

        assert evicted.read_all(world.pool.ioctx) == {'two': TWO}

    def test_what_was_prepared_has_room_in_a_full_pool(self, world):
        evicted.prepare(world.pool.ioctx)
        evicted.prepare(world.pool.ioctx)
        world.fill()
        try:
            evicted.note(world.pool.ioctx, 'one', ONE)
            evicted.prepare(world.pool.ioctx)
        finally:
            world.make_room()

        assert evicted.read_all(world.pool.ioctx) == {'one': ONE}


class DeleteOneContract:
    """A copy goes by its own id, so that no other one does."""

    def test_the_copy_of_that_id_goes(self, world):
        image_id, rbd_id = world.copy()

        assert world.pool.delete_one(image_id, rbd_id) is True
        assert world.names() == world.trash() == []

    @pytest.mark.parametrize('clone_format', [1, 2])
    def test_who_has_cloned_it_keeps_the_clone(self, world, clone_format):
        """And the copy goes with the last one of these."""
        image_id, rbd_id = world.copy()
        with volumes(world, clone_format) as consumer:
            consumer.clone(image_id, 'child')

            assert world.pool.delete_one(image_id, rbd_id) is False

            assert consumer.read('child') == DATA
            assert world.names() == []
            with pytest.raises(ceph.rbd.ImageNotFound):
                consumer.clone(image_id, 'too-late')
        assert world.pool.delete_one(image_id, rbd_id) is True
        assert world.trash() == []

    def test_one_that_was_made_since_stays(self, world):
        image_id, old = world.copy()
        world.pool.delete(image_id)
        _, new = world.copy(image_id)

        assert world.pool.delete_one(image_id, old) is True
        assert world.pool.rbd_id(f'{image_id}_raw') == new

    def test_one_that_is_being_made_stays(self, world):
        image_id, old = world.copy()
        world.pool.delete(image_id)
        _, new = world.begin(image_id)

        assert world.pool.delete_one(image_id, old) is True
        assert world.part_id(image_id) == new

    def test_what_is_in_the_trash_already_is_purged(self, world):
        image_id, rbd_id = world.copy()
        world.pool._trash(f'{image_id}_raw')
        assert world.trash() == [rbd_id]

        assert world.pool.delete_one(image_id, rbd_id) is True
        assert world.trash() == []

    def test_what_is_gone_already_is_gone(self, world):
        image_id, rbd_id = world.copy()

        assert world.pool.delete_one(image_id, rbd_id) is True
        assert world.pool.delete_one(image_id, rbd_id) is True
