# SPDX-License-Identifier: Apache-2.0
"""The inventory of a raw pool in memory."""

import errno

from glance_rawstore import inventory
from tests.contract.inventory import InventoryContract
from tests.contract.inventory import consumer
from tests.fakes import bindings

__all__ = ['consumer']


class TestInventory(InventoryContract):
    """In memory."""


def test_one_copy_that_cannot_be_reaped_does_not_keep_the_others(
    world, caplog
):
    first, second = (world.copy()[0] for _ in range(2))
    for image_id in (first, second):
        with world.pool.image(f'{image_id}_raw'):
            assert world.pool.delete(image_id) is False

    def lost():
        raise bindings.rbd_error(errno.ETIMEDOUT, 'no answer')

    world.cluster.on('trash_remove', before=lost)
    reaped = inventory.reap(world.pool)

    assert sorted(reaped.gone + reaped.in_use) == sorted([first, second])
    assert len(reaped.gone) == 1
    assert 'was not reaped' in caplog.text


def test_times_are_those_of_the_epoch_whatever_the_time_zone(
    world, monkeypatch
):
    """What librbd gives is in UTC, without saying so."""
    monkeypatch.setattr(world.cluster, 'clock', lambda: 1_000_000.0)
    world.begin()

    (found,) = inventory.copies(world.pool)

    assert found.created == 1_000_000.0


def test_the_usage_of_a_copy_is_noted_and_not_counted_again(world):
    """Counting takes long where a copy is large."""
    world.copy()

    def count():
        raise AssertionError('counted')

    world.cluster.on('diff_iterate', before=count)

    assert next(inventory.copies(world.pool)).bytes_used is not None
