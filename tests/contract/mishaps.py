# SPDX-License-Identifier: Apache-2.0
"""Full pools, killed writers and a cluster that does not answer."""

import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.contract.world import Late


class KilledWriterContract:
    """A killed qemu-img would keep what it wrote for half a minute."""

    def test_what_is_being_written_can_be_deleted(self, world):
        image_id, rbd_id = world.begin()
        writer = world.writer(image_id)
        assert world.pool.has_part(image_id, rbd_id)

        assert world.other_node().delete(image_id) is False

        assert world.trash() == [rbd_id]
        assert not world.pool.has_part(image_id, rbd_id)
        with pytest.raises(exceptions.Cancelled):
            world.pool.commit(image_id, world.part_id(image_id), {})
        writer.kill()
        world.pool.discard(image_id, rbd_id)
        assert world.trash() == []

    def test_what_a_killed_writer_left_is_gone_at_once(self, world):
        image_id, rbd_id = world.begin()
        writer = world.writer(image_id)
        assert world.pool.has_part(image_id, rbd_id), 'as is asked meanwhile'
        writer.kill()

        world.pool.discard(image_id, rbd_id)

        assert world.names() == world.trash() == []

    def test_what_a_dead_worker_and_its_writer_left_is_taken_over(self, world):
        image_id, first = world.begin()
        world.writer(image_id).kill()

        node = world.other_node()
        assert node.has_part(image_id, first), 'who looks, notes the writer'
        node.discard(image_id, first)
        _, second = world.begin(image_id)

        assert world.pool.has_part(image_id, second)
        assert world.trash() == []

    def test_who_only_looks_at_the_trash_is_not_shut_out(self, world):
        """An operator's rbd, or a reaper on another node."""
        image_id, rbd_id = world.begin()
        other = world.other_node()
        (name,) = world.names()
        ceph.rbd.RBD().trash_move(world.pool.ioctx, name, 0)
        with ceph.rbd.Image(other.ioctx, image_id=rbd_id):
            world.pool.discard(image_id, rbd_id)
            assert world.trash() == [rbd_id]

        assert inventory.reap(other).gone == (image_id,)

    def test_who_discards_is_not_shut_out_himself(self, world):
        image_id, rbd_id = world.begin()
        (name,) = world.names()
        with world.pool.image(name):
            assert world.pool.has_part(image_id, rbd_id)
            world.pool.discard(image_id, rbd_id)
            assert world.trash() == [rbd_id]

        assert inventory.reap(world.pool).gone == (image_id,)
        assert world.trash() == []


class FullPoolContract:
    """Nothing goes into a full pool, but everything out of it."""

    @pytest.fixture
    def full(self, world):
        world.part, world.part_id = world.begin()
        world.write(world.part)
        world.active, _ = world.copy()
        world.fill()
        yield world
        world.make_room()

    def test_what_is_full_is_told_by_trying(self, full):
        assert full.pool.full(full.part_id) is True

    def test_asking_leaves_nothing_of_an_image_that_goes(self, world):
        image_id, rbd_id = world.begin()
        node = world.other_node()
        node.ioctx = Late(world, image_id)

        assert node.full(rbd_id) is False

        with pytest.raises(exceptions.NotFound), ceph.translated():
            world.pool.ioctx.stat(f'rbd_header.{rbd_id}')

    def test_nothing_is_begun(self, full):
        with pytest.raises(exceptions.NoSpace):
            full.pool.begin(str(uuid.uuid4()), SIZE, 8 * MIB)

    def test_nothing_is_committed_and_nothing_left_of_it(self, full):
        with pytest.raises(exceptions.NoSpace):
            full.pool.commit(full.part, full.part_id, {})

        full.pool.discard(full.part, full.part_id)
        assert full.pool.status(full.part) is Status.DELETED
        assert full.trash() == []

    def test_what_is_there_can_be_deleted(self, full):
        """Else it could never be emptied, not even by hand."""
        assert full.pool.delete(full.active) is True
        assert full.pool.delete(full.part) is True

        assert full.names() == full.trash() == []

    def test_a_commit_can_be_repeated_when_there_is_room(self, full):
        with pytest.raises(exceptions.NoSpace):
            full.pool.commit(full.part, full.part_id, {})
        full.make_room()

        full.pool.commit(full.part, full.part_id, {})

        assert full.pool.status(full.part) is Status.ACTIVE


class AwayContract:
    """A cluster that does not answer is told apart from everything else."""

    @pytest.mark.parametrize(
        'name',
        [
            *('begin', 'size', 'status', 'rbd_id', 'has_part', 'resize'),
            *('set_progress', 'commit', 'delete', 'purge', 'discard'),
            *('copies', 'of_image', 'trashed', 'reap'),
        ],
    )
    def test_it_is_said_that_the_cluster_does_not_answer(self, world, name):
        image_id, rbd_id = world.begin()
        calls = {
            'begin': lambda pool: pool.begin(str(uuid.uuid4()), SIZE, MIB),
            'size': lambda pool: pool.size(image_id),
            'status': lambda pool: pool.status(image_id),
            'rbd_id': lambda pool: pool.rbd_id(f'{image_id}_raw'),
            'has_part': lambda pool: pool.has_part(image_id, rbd_id),
            'resize': lambda pool: pool.resize(image_id, rbd_id, MIB),
            'set_progress': lambda pool: pool.set_progress(
                image_id, rbd_id, 5
            ),
            'commit': lambda pool: pool.commit(image_id, rbd_id, {}),
            'delete': lambda pool: pool.delete(image_id),
            'purge': lambda pool: pool.purge(rbd_id),
            'discard': lambda pool: pool.discard(image_id, rbd_id),
            'copies': lambda pool: list(inventory.copies(pool)),
            'of_image': lambda pool: inventory.of_image(pool, image_id),
            'trashed': inventory.trashed,
            'reap': inventory.reap,
        }

        with (
            world.away() as pool,
            pytest.raises(exceptions.CephUnavailable),
        ):
            calls[name](pool)

        assert world.pool.has_part(image_id, rbd_id)

    def test_it_is_not_taken_for_full(self, world):
        _, rbd_id = world.begin()

        with world.away() as pool:
            assert pool.full(rbd_id) is False
