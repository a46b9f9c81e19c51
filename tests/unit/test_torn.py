# SPDX-License-Identifier: Apache-2.0
"""What is whole is left as it is; the rest is in tests/functional."""

from glance_rawstore import torn
from glance_rawstore.lifecycle.states import Status
from tests.contract.raw_pool import RawPoolContract


def test_a_name_leads_to_an_id_or_to_nothing(world):
    image_id, rbd_id = world.copy()

    assert torn.rbd_id(world.pool.ioctx, f'{image_id}_raw') == rbd_id
    assert torn.rbd_id(world.pool.ioctx, f'{image_id}_raw.part') is None


def test_a_rename_that_is_done_is_said_to_be(world):
    image_id, rbd_id = world.copy()

    assert torn.finish_rename(world.pool.ioctx, image_id, rbd_id)

    RawPoolContract.check_intact(world, image_id)


def test_a_rename_that_was_not_begun_is_not_done(world):
    image_id, rbd_id = world.begin()

    assert not torn.finish_rename(world.pool.ioctx, image_id, rbd_id)

    assert world.pool.status(image_id) is Status.PENDING


def test_another_copy_under_the_final_name_is_left_alone(world):
    image_id, rbd_id = world.copy()

    assert not torn.finish_rename(world.pool.ioctx, image_id, 'another')

    assert world.pool.rbd_id(f'{image_id}_raw') == rbd_id


def test_what_is_not_in_the_trash_keeps_its_name(world):
    image_id, _ = world.copy()
    other, _ = world.begin()

    for found in (image_id, other, 'nobody'):
        torn.finish_trash(world.pool.ioctx, found)

    assert world.names() == sorted([f'{image_id}_raw', f'{other}_raw.part'])
    assert world.trash() == []


def test_committing_what_is_committed_changes_nothing(world):
    """As when its worker was killed just after the rename."""
    image_id, rbd_id = world.copy()

    assert world.pool.commit(image_id, rbd_id, {}) > 0

    RawPoolContract.check_intact(world, image_id)
