# SPDX-License-Identifier: Apache-2.0
"""Copies that are deleted while they are cloned, in both clone formats."""

import contextlib

import pytest

from glance_rawstore import ceph
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import DATA
from tests.contract.world import volumes


@pytest.fixture(params=[1, 2], ids=['format1', 'format2'])
def consumer(request, world):
    """Who clones: Cinder and Nova."""
    with volumes(world, request.param) as found:
        yield found


class CloneContract:
    """A clone keeps what it was made of, and nothing else."""

    def test_a_clone_shows_what_was_written(self, world, consumer):
        image_id, _ = world.copy()

        consumer.clone(image_id, 'child')

        assert consumer.read('child') == DATA

    def test_a_copy_with_clones_goes_to_the_trash(self, world, consumer):
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')

        assert world.pool.delete(image_id) is False

        assert world.names() == []
        assert world.trash() == [rbd_id]
        assert world.pool.status(image_id) is Status.DELETED
        assert consumer.read('child') == DATA

    def test_what_is_in_the_trash_is_not_cloned(self, world, consumer):
        image_id, _ = world.copy()
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)

        with pytest.raises(ceph.rbd.ImageNotFound):
            consumer.clone(image_id, 'late')

    def test_a_new_copy_can_be_made_beside_a_trashed_one(
        self, world, consumer
    ):
        image_id, first = world.copy()
        consumer.clone(image_id, 'one')
        world.pool.delete(image_id)

        _, second = world.copy(image_id)
        consumer.clone(image_id, 'two')
        world.pool.delete(image_id)

        assert world.trash() == sorted([first, second])
        assert consumer.read('one') == consumer.read('two') == DATA

    def test_a_copy_goes_with_its_last_clone(self, world, consumer):
        image_id, rbd_id = world.copy()
        for name in ('one', 'two'):
            consumer.clone(image_id, name)
        world.pool.delete(image_id)

        consumer.remove('one')
        assert world.pool.purge(rbd_id) is False
        assert consumer.read('two') == DATA
        consumer.remove('two')
        assert world.pool.purge(rbd_id) is True

        assert world.trash() == []

    def test_a_copy_that_was_tried_often_goes_all_the_same(
        self, world, consumer
    ):
        """Each try may take a step of the way; none may lose it."""
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)
        for _ in range(3):
            assert world.other_node().purge(rbd_id) is False

        assert consumer.read('child') == DATA
        consumer.remove('child')

        assert world.pool.purge(rbd_id) is True
        assert world.trash() == []

    def test_a_flattened_clone_needs_it_no_more(self, world, consumer):
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)

        consumer.flatten('child')

        assert world.pool.purge(rbd_id) is True
        assert world.trash() == []
        assert consumer.read('child') == DATA

    def test_a_clone_of_a_clone_needs_it_too(self, world, consumer):
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')
        consumer.clone_volume('child', 'grandchild')
        world.pool.delete(image_id)

        assert world.pool.purge(rbd_id) is False
        assert consumer.read('grandchild') == DATA
        consumer.remove('grandchild')
        assert world.pool.purge(rbd_id) is False
        consumer.remove('child')

        assert world.pool.purge(rbd_id) is True

    def test_a_clone_in_the_trash_of_volumes_may_come_back(
        self, world, consumer
    ):
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)

        consumer.trash('child')

        assert world.pool.purge(rbd_id) is False
        assert world.trash() == [rbd_id]

    def test_clones_that_may_not_be_seen_are_kept_too(self, world, consumer):
        """The user of the raw pool has no rights to that of the volumes."""
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')

        assert world.blind_node().delete(image_id) is False
        assert world.blind_node().purge(rbd_id) is False
        assert consumer.read('child') == DATA
        consumer.remove('child')

        assert world.blind_node().purge(rbd_id) is True
        assert world.trash() == []

    def test_what_somebody_put_into_the_trash_by_hand_goes_too(
        self, world, consumer
    ):
        """Also where a snapshot was removed: in format 2 it is hidden."""
        image_id, rbd_id = world.copy()
        consumer.clone(image_id, 'child')
        (name,) = world.names()
        with (
            world.pool.image(name) as image,
            # format 1 does not let anybody
            contextlib.suppress(ceph.rbd.ImageBusy),
        ):
            image.unprotect_snap('snap')
            image.remove_snap('snap')
        ceph.rbd.RBD().trash_move(world.pool.ioctx, name, 0)

        assert world.pool.purge(rbd_id) is False
        assert consumer.read('child') == DATA
        consumer.remove('child')

        assert world.pool.purge(rbd_id) is True
        assert world.trash() == []
