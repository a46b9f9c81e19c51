# SPDX-License-Identifier: Apache-2.0
"""What is done with one open RBD image, in memory."""

from glance_rawstore import rbd_image
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.contract.world import volumes


def test_usage_is_counted_to_the_byte_and_without_gaps(world):
    image_id, _ = world.begin()
    with world.pool.image(f'{image_id}_raw.part') as image:
        image.write(b'x' * 1000, 500)
        image.write(b'x' * 1000, 1000)
        image.write(b'x', 10 * MIB)
        image.write(b'x' * MIB, SIZE - MIB)

        assert rbd_image.bytes_used(image) == 1500 + 1 + MIB


def test_usage_of_a_clone_is_its_own(world):
    image_id, _ = world.copy()
    with volumes(world, 2) as consumer:
        consumer.clone(image_id, 'child')
        with consumer._open('child') as child:
            assert rbd_image.bytes_used(child) == 0


def test_clones_are_named_with_their_pool_and_in_order(world):
    image_id, _ = world.copy()
    with volumes(world, 2) as consumer:
        names = [consumer.clone(image_id, name) for name in ('b', 'a')]
        with world.pool.image(f'{image_id}_raw') as image:
            assert rbd_image.children(image) == tuple(sorted(names))
            assert image.size() == SIZE, 'no snapshot stays chosen'
            image.write(b'x', 0)


def test_no_clones_are_none_and_unseen_ones_are_not(world):
    image_id, _ = world.copy()
    blind = world.blind_node()
    with blind.image(f'{image_id}_raw') as image:
        assert rbd_image.children(image) == ()
    with volumes(world, 2) as consumer:
        consumer.clone(image_id, 'child')
        with blind.image(f'{image_id}_raw') as image:
            assert rbd_image.children(image) is None


def test_steps_that_were_done_are_not_done_again(world):
    image_id, _ = world.begin()
    with world.pool.image(f'{image_id}_raw.part') as image:
        for _ in range(2):
            rbd_image.add_features(image)
            rbd_image.protect(image)
        rbd_image.remove_snapshots(image)
        assert list(image.list_snaps()) == []
        rbd_image.remove_snapshots(image)
