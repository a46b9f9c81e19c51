# SPDX-License-Identifier: Apache-2.0
"""The moves of a copy in any raw pool."""

import time
import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import DATA
from tests.contract.world import MIB
from tests.contract.world import SIZE


def mapped(image):
    """The first step of a commit: features, and a valid object map."""
    rbd = ceph.rbd
    wanted = (
        rbd.RBD_FEATURE_EXCLUSIVE_LOCK
        | rbd.RBD_FEATURE_OBJECT_MAP
        | rbd.RBD_FEATURE_FAST_DIFF
    )
    image.update_features(wanted, True)


# Each what a commit has done when it is killed after so many steps.
STEPS = (
    mapped,
    lambda image: image.rebuild_object_map(),
    lambda image: image.metadata_set(raw_copy.META_BYTES_USED, '0'),
    lambda image: image.create_snap(raw_copy.SNAPSHOT),
    lambda image: image.protect_snap(raw_copy.SNAPSHOT),
    lambda image: image.metadata_remove(raw_copy.META_PROGRESS),
)


class RawPoolContract:
    """Begin, commit, delete, discard."""

    def test_what_is_begun_is_pending_and_has_its_size(self, world):
        image_id, rbd_id = world.begin()

        assert world.pool.status(image_id) is Status.PENDING
        assert world.pool.size(image_id) == SIZE
        assert world.pool.has_part(image_id, rbd_id)
        assert world.names() == [raw_copy.part_name(image_id)]

    def test_what_is_begun_has_no_feature_that_makes_writers_wait(self, world):
        image_id, _ = world.begin()

        with world.pool.image(raw_copy.part_name(image_id)) as image:
            assert image.features() == ceph.rbd.RBD_FEATURE_LAYERING

    def test_a_copy_is_begun_by_one_alone(self, world):
        image_id, rbd_id = world.begin()

        with pytest.raises(exceptions.LeaseHeld):
            world.other_node().begin(image_id, SIZE, 8 * MIB)

        assert world.pool.has_part(image_id, rbd_id)

    def test_a_copy_that_is_there_is_not_begun_again(self, world):
        image_id, _ = world.copy()

        with pytest.raises(exceptions.CopyExists):
            world.other_node().begin(image_id, SIZE, 8 * MIB)

        assert world.names() == [raw_copy.name(image_id)]

    @pytest.mark.parametrize('size', [SIZE, MIB, 3 * SIZE, 512])
    def test_the_size_can_be_corrected(self, world, size):
        image_id, rbd_id = world.begin()

        world.pool.resize(image_id, rbd_id, size)

        assert world.pool.size(image_id) == size

    def test_what_is_not_there_has_no_size(self, world):
        image_id = str(uuid.uuid4())

        assert world.pool.status(image_id) is Status.DELETED
        for ask in (
            lambda: world.pool.size(image_id),
            lambda: world.pool.delete(image_id),
        ):
            with pytest.raises(exceptions.NotFound):
                ask()

    def test_a_commit_makes_the_copy_active_under_its_name(self, world):
        image_id, rbd_id = world.begin()
        world.write(image_id)

        used = world.pool.commit(
            image_id, world.part_id(image_id), {'glance_rawstore.x': 'y'}
        )

        assert used == len(DATA)
        assert world.pool.status(image_id) is Status.ACTIVE
        assert world.pool.size(image_id) == SIZE
        assert world.names() == [raw_copy.name(image_id)]
        assert world.pool.rbd_id(raw_copy.name(image_id)) == rbd_id
        assert not world.pool.has_part(image_id, rbd_id)
        self.check_intact(world, image_id)
        with world.pool.image(raw_copy.name(image_id)) as image:
            noted = dict(image.metadata_list())
        assert time.time() - float(noted.pop(raw_copy.META_COMMITTED)) < 60
        assert noted == {
            'glance_rawstore.x': 'y',
            raw_copy.META_BYTES_USED: str(len(DATA)),
        }

    @staticmethod
    def check_intact(world, image_id):
        """What is active can be cloned, measured and deleted quickly."""
        rbd = ceph.rbd
        name = raw_copy.name(image_id)
        with world.pool.image(name, read_only=True) as image:
            assert image.is_protected_snap(raw_copy.SNAPSHOT)
            assert image.features() & rbd.RBD_FEATURE_OBJECT_MAP
            assert image.features() & rbd.RBD_FEATURE_FAST_DIFF
            assert not image.flags() & rbd.RBD_FLAG_OBJECT_MAP_INVALID
        with world.pool.image(name, snapshot=raw_copy.SNAPSHOT) as image:
            assert image.read(0, len(DATA)) == DATA

    @pytest.mark.parametrize('steps', range(len(STEPS) + 1))
    def test_a_commit_that_was_cut_off_can_be_repeated(self, world, steps):
        image_id, _ = world.begin()
        world.write(image_id)
        world.pool.set_progress(image_id, world.part_id(image_id), 100)
        with world.pool.image(raw_copy.part_name(image_id)) as image:
            for step in STEPS[:steps]:
                step(image)
        assert world.pool.status(image_id) is Status.PENDING

        world.pool.commit(image_id, world.part_id(image_id), {})

        assert world.names() == [raw_copy.name(image_id)]
        assert self.progress(world, raw_copy.name(image_id)) is None
        self.check_intact(world, image_id)

    @staticmethod
    def progress(world, name):
        """As another node reads it."""
        with world.other_node().image(name, read_only=True) as image:
            return dict(image.metadata_list()).get(raw_copy.META_PROGRESS)

    def test_other_nodes_see_how_far_a_copy_is(self, world):
        image_id, rbd_id = world.begin()
        part = raw_copy.part_name(image_id)
        assert self.progress(world, part) is None

        for percent in (0, 37, 37, 100):
            world.pool.set_progress(image_id, rbd_id, percent)
            assert self.progress(world, part) == str(percent)

    def test_how_far_it_is_means_nothing_once_it_is_active(self, world):
        image_id, rbd_id = world.begin()
        world.pool.set_progress(image_id, rbd_id, 99)

        world.pool.commit(image_id, rbd_id, {})

        assert self.progress(world, raw_copy.name(image_id)) is None
        with pytest.raises(exceptions.Cancelled):
            world.pool.set_progress(image_id, rbd_id, 100)

    def test_progress_is_noted_on_ones_own_copy_only(self, world):
        image_id, first = world.begin()
        world.other_node().delete(image_id)
        with pytest.raises(exceptions.Cancelled):
            world.pool.set_progress(image_id, first, 5)
        world.begin(image_id)

        with pytest.raises(exceptions.Cancelled):
            world.pool.set_progress(image_id, first, 5)

        assert self.progress(world, raw_copy.part_name(image_id)) is None

    def test_what_was_deleted_is_not_committed(self, world):
        image_id, _ = world.begin()
        world.other_node().delete(image_id)

        with pytest.raises(exceptions.Cancelled):
            world.pool.commit(image_id, world.part_id(image_id), {})

        assert world.names() == world.trash() == []

    def test_a_commit_does_not_replace_what_is_there(self, world):
        image_id, rbd_id = world.copy()
        world.create(raw_copy.part_name(image_id))

        with pytest.raises(exceptions.CopyExists):
            world.pool.commit(image_id, world.part_id(image_id), {})

        assert world.pool.rbd_id(raw_copy.name(image_id)) == rbd_id
        self.check_intact(world, image_id)

    def test_nothing_is_left_of_a_copy_that_is_deleted(self, world):
        image_id, _ = world.copy()

        assert world.other_node().delete(image_id) is True

        assert world.pool.status(image_id) is Status.DELETED
        assert world.names() == world.trash() == []

    def test_nothing_is_left_of_a_copy_that_is_deleted_while_made(self, world):
        image_id, rbd_id = world.begin()

        assert world.other_node().delete(image_id) is True

        assert not world.pool.has_part(image_id, rbd_id)
        assert world.names() == world.trash() == []

    def test_what_is_deleted_is_gone_for_good(self, world):
        image_id, _ = world.copy()
        world.pool.delete(image_id)

        with pytest.raises(exceptions.NotFound):
            world.pool.delete(image_id)

        world.copy(image_id)
        self.check_intact(world, image_id)

    def test_both_are_deleted_where_there_are_two(self, world):
        """As after a commit that lost against another one."""
        image_id, _ = world.copy()
        world.create(raw_copy.part_name(image_id))

        assert world.pool.delete(image_id) is True

        assert world.names() == world.trash() == []

    def test_originals_in_the_pool_are_left_alone(self, world):
        """Of the same image, and of one whose snapshot Nova made here."""
        image_id, _ = world.copy()
        for name in (image_id, str(uuid.uuid4()), f'{image_id}_raw_x'):
            world.create(name)
        before = world.names()

        world.pool.delete(image_id)

        assert world.names() == [n for n in before if not n.endswith('_raw')]
        assert len(world.names()) == 3

    def test_purging_what_is_gone_is_no_failure(self, world):
        _, rbd_id = world.begin()
        (name,) = world.names()
        ceph.rbd.RBD().remove(world.pool.ioctx, name)

        assert world.pool.purge(rbd_id) is True

    def test_a_pool_with_room_is_not_full(self, world):
        image_id, rbd_id = world.begin()

        assert world.pool.full(rbd_id) is False

        assert world.pool.full('0123456789ab') is False
        world.pool.commit(image_id, world.part_id(image_id), {})
