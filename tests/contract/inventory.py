# SPDX-License-Identifier: Apache-2.0
"""What copies there are in any raw pool, and which are reaped."""

import time
import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import inventory
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.contract.world import volumes


@pytest.fixture(params=[1, 2], ids=['format1', 'format2'])
def consumer(request, world):
    """Who clones: Cinder and Nova."""
    with volumes(world, request.param) as found:
        yield found


def trash_others(world, name):
    """Put into the trash what is no copy."""
    world.create(name)
    ceph.rbd.RBD().trash_move(world.pool.ioctx, name, 0)


class InventoryContract:
    """Copies are listed with all that is known; only they are reaped."""

    def test_an_empty_pool_has_no_copies(self, world):
        assert list(inventory.copies(world.pool)) == []
        assert inventory.trashed(world.pool) == []
        assert inventory.of_image(world.pool, str(uuid.uuid4())) == []
        assert inventory.reap(world.pool) == inventory.Reaped((), (), 0)

    def test_an_active_copy_is_described(self, world, consumer):
        image_id, rbd_id = world.copy()
        children = [consumer.clone(image_id, name) for name in ('b', 'a')]

        (found,) = inventory.copies(world.pool)

        assert abs(found.created - time.time()) < 600
        assert found == raw_copy.RawCopy(
            image_id=image_id,
            pool=world.pool.name,
            status=Status.ACTIVE,
            virtual_size=SIZE,
            bytes_used=len(DATA),
            children=tuple(sorted(children)),
            created=found.created,
            rbd_name=raw_copy.name(image_id),
            rbd_id=rbd_id,
            source_format='qcow2',
        )

    def test_a_copy_is_described_while_it_is_made(self, world):
        image_id, rbd_id = world.begin()

        (found,) = inventory.copies(world.pool)

        assert found.status is Status.PENDING
        assert found.rbd_name == raw_copy.part_name(image_id)
        assert found.rbd_id == rbd_id
        assert found.virtual_size == SIZE
        assert found.children == ()
        assert found.source_format is None

    def test_a_trashed_copy_is_described(self, world, consumer):
        image_id, rbd_id = world.copy()
        child = consumer.clone(image_id, 'child')
        world.pool.delete(image_id)

        (found,) = inventory.copies(world.pool)

        assert found.status is Status.PENDING_DELETE
        assert found.rbd_id == rbd_id
        assert found.bytes_used == len(DATA)
        assert found.children == (child,)

    def test_clones_that_may_not_be_seen_are_not_called_none(
        self, world, consumer
    ):
        image_id, _ = world.copy()
        consumer.clone(image_id, 'child')

        (found,) = inventory.copies(world.blind_node())

        assert found.children is None

    def test_what_is_no_copy_is_not_listed(self, world):
        world.create(str(uuid.uuid4()))
        world.create('volume-1_raw')
        trash_others(world, 'backup')

        assert list(inventory.copies(world.pool)) == []
        assert inventory.trashed(world.pool) == []

    def test_the_copies_of_one_image_are_found(self, world, consumer):
        image_id, first = world.copy()
        consumer.clone(image_id, 'one')
        world.pool.delete(image_id)
        _, second = world.copy(image_id)
        world.copy()

        found = inventory.of_image(world.pool, image_id)

        assert [(copy.rbd_id, copy.status) for copy in found] == [
            (second, Status.ACTIVE),
            (first, Status.PENDING_DELETE),
        ]
        assert len(list(inventory.copies(world.pool))) == 3

    def test_only_trashed_copies_that_nothing_uses_are_reaped(
        self, world, consumer
    ):
        kept, used, free = (world.copy()[0] for _ in range(3))
        for image_id in (used, free):
            consumer.clone(image_id, image_id)
            world.pool.delete(image_id)
        consumer.remove(free)
        trash_others(world, 'backup')
        pending, _ = world.begin()

        reaped = inventory.reap(world.pool)

        assert reaped == inventory.Reaped((free,), (used,), len(DATA))
        assert world.pool.status(kept) is Status.ACTIVE
        assert world.pool.status(pending) is Status.PENDING
        assert len(world.trash()) == 2, 'the used one and the backup'
        assert consumer.read(used) == DATA

    def test_reaping_twice_finds_nothing_more(self, world, consumer):
        image_id, _ = world.copy()
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)
        consumer.remove('child')

        first = inventory.reap(world.other_node())
        second = inventory.reap(world.pool)

        assert first.gone == (image_id,)
        assert second == inventory.Reaped((), (), 0)

    def test_what_may_not_be_removed_yet_is_left(self, world):
        """``rbd trash mv --expires-at``, by an operator."""
        image_id, _ = world.copy()
        ceph.rbd.RBD().trash_move(
            world.pool.ioctx, raw_copy.name(image_id), 3600
        )

        assert inventory.reap(world.pool).in_use == (image_id,)

        assert len(world.trash()) == 1

    def test_one_that_cannot_be_opened_does_not_keep_others_from_going(
        self, world, consumer
    ):
        damaged, free = (world.copy() for _ in range(2))
        for image_id, _ in (damaged, free):
            consumer.clone(image_id, image_id)
            world.pool.delete(image_id)
        for image_id, _ in (damaged, free):
            consumer.remove(image_id)
        world.damage(damaged[1])

        reaped = inventory.reap(world.other_node())

        assert reaped.gone == (free[0],)
        assert reaped.in_use == ()
        (left,) = reaped.damaged
        assert (left.image_id, left.rbd_id) == damaged
        assert left.damaged
        assert left.rbd_id in left.alarm
        assert world.trash() == [damaged[1]]

    def test_what_cannot_be_opened_is_listed_with_what_is_known(self, world):
        active, part = world.copy(), world.begin()
        for _, rbd_id in (active, part):
            world.damage(rbd_id)
        whole, _ = world.copy()

        node = world.other_node()
        found = {copy.image_id: copy for copy in inventory.copies(node)}

        assert len(found) == 3
        assert not found[whole].damaged
        assert found[active[0]].status is Status.ACTIVE
        assert found[part[0]].status is Status.PENDING
        for image_id, rbd_id in (active, part):
            (same,) = inventory.of_image(node, image_id)
            assert same == found[image_id]
            assert same.damaged
            assert same.rbd_id == rbd_id
            assert same.virtual_size == SIZE
            assert same.children is None

    def test_a_copy_that_goes_while_it_is_listed_is_left_out(self, world):
        for _ in range(2):
            world.copy()
        found = inventory.copies(world.pool)

        first = next(found)
        for image_id in (name.split('_')[0] for name in world.names()):
            world.other_node().delete(image_id)

        assert list(found) == []
        assert first.status is Status.ACTIVE
