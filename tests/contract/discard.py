# SPDX-License-Identifier: Apache-2.0
"""Undoing what was begun, in any raw pool."""

from glance_rawstore import lease
from glance_rawstore.lifecycle.states import Status
from tests.contract.raw_pool import RawPoolContract


class DiscardContract:
    """What we began and nothing else is removed, in whatever state."""

    def test_nothing_is_left_of_what_is_discarded(self, world):
        image_id, rbd_id = world.begin()
        world.write(image_id)

        world.pool.discard(image_id, rbd_id)

        assert world.names() == world.trash() == []

    def test_what_is_gone_already_can_be_discarded(self, world):
        image_id, rbd_id = world.begin()
        world.other_node().delete(image_id)

        world.pool.discard(image_id, rbd_id)
        world.pool.discard(image_id, rbd_id)

        assert world.names() == world.trash() == []

    def test_who_took_over_is_not_discarded(self, world):
        image_id, first = world.begin()
        world.other_node().delete(image_id)
        _, second = world.begin(image_id)

        world.pool.discard(image_id, first)

        assert world.pool.has_part(image_id, second)
        assert world.trash() == []

    def test_what_was_committed_after_all_is_not_discarded_by_half(
        self, world
    ):
        """The answer to a commit can get lost. A copy without its snapshot
        would look active for ever, and nobody could clone it.
        """
        image_id, rbd_id = world.copy()

        world.pool.discard(image_id, rbd_id)

        if world.pool.status(image_id) is Status.ACTIVE:
            RawPoolContract.check_intact(world, image_id)
        else:
            assert world.names() == world.trash() == []

    def test_what_another_one_removes_is_left_to_him(self, world):
        """Two at once take librbd's lock from each other, and one aborts."""
        image_id, rbd_id = world.copy()
        node = world.other_node()
        with lease.removing(node.ioctx, rbd_id):
            assert world.pool.delete(image_id) is False
            assert world.pool.purge(rbd_id) is False

        assert node.purge(rbd_id) is True
        assert world.trash() == []

    def test_who_removes_does_not_mind_who_makes(self, world):
        image_id, rbd_id = world.begin()
        maker = lease.Lease(world.other_node().ioctx, rbd_id, 30)
        maker.acquire()

        assert world.pool.delete(image_id) is True

        maker.release()
        assert world.names() == world.trash() == []
