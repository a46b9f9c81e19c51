# SPDX-License-Identifier: Apache-2.0
"""Passes over a raw pool in which some copies cannot be opened."""

import uuid

import pytest

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.reading import Reader
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL


def active(work, image_id):
    """Its copy, though there is no wish for it."""
    return work.world.copy(image_id)[1]


def pending(work, image_id):
    """A dead worker's ``.part``."""
    return work.world.begin(image_id)[1]


def damaged_in_the_trash(work):
    """A copy whose last clone is gone, and that cannot be opened; its id."""
    with volumes(work.world, 2) as consumer:
        _, rbd_id = work.world.copy(ID)
        consumer.clone(ID, 'child')
        work.world.pool.delete(ID)
        consumer.remove('child')
    work.world.damage(rbd_id)
    return rbd_id


@pytest.mark.parametrize('make', [active, pending])
def test_one_that_cannot_be_opened_is_left_and_told_and_others_are_not(
    work, node, make
):
    image_id = '00000000-0000-4000-8000-000000000000'  # comes first
    work.catalog.add(image_id, ORIGINAL, properties={})
    rbd_id = make(work, image_id)
    work.world.damage(rbd_id)
    queue = reconciling.Queue()

    wanted, failed = reconciling.reconcile(node, seen=queue.see)

    assert (wanted, failed) == ([ID], 1)
    (told,) = queue.damaged
    assert (told.image_id, told.rbd_id) == (image_id, rbd_id)
    assert queue.strangers == []
    facts = Reader(work.catalog, work.world.pool, node.policy).one(image_id)
    assert facts.damaged == (told,)


def test_what_is_damaged_in_the_trash_does_not_keep_its_image_from_a_copy(
    work, node
):
    rbd_id = damaged_in_the_trash(work)

    assert reconciling.reconcile(node) == ([ID], 0)
    work.run()

    assert work.world.pool.status(ID) is Status.ACTIVE
    assert work.world.trash() == [rbd_id]


def test_one_that_is_mended_meanwhile_is_left_for_the_next_pass(
    work, node, monkeypatch
):
    """Nothing that could not be read is taken for gone."""
    image_id = str(uuid.uuid4())
    work.catalog.add(image_id, ORIGINAL, properties={})
    _, rbd_id = work.world.begin(image_id)
    work.world.damage(rbd_id)
    (image,) = work.world.cluster.pools['images_raw'].images.values()

    def mended(_pool, _image_id):
        image.damaged = False
        return ()

    monkeypatch.setattr('glance_rawstore.agent.lying.damaged', mended)

    assert reconciling.reconcile(node) == ([ID], 1)

    assert list(work.world.names()) == [f'{image_id}_raw.part']


def test_a_row_that_nobody_can_read_does_not_keep_other_images(
    work, node, caplog
):
    """Nor one that somebody has changed in the database."""
    image_id = '00000000-0000-4000-8000-000000000000'
    work.world.copy(image_id)
    work.catalog.add(image_id, ORIGINAL)
    row = work.catalog.row(work.world.pool.url(image_id), 'raw')
    rows = (
        *work.catalog.images[image_id].locations,
        {**row, 'metadata': None},
    )
    work.catalog.change(image_id, locations=rows)

    assert reconciling.reconcile(node) == ([ID], 1)

    assert f'Image {image_id} is left as it is' in caplog.text


def test_that_of_a_deleted_image_is_told_as_well(work, node):
    """Its deletion is planned without a look at it, and cannot be done."""
    work.run()
    rbd_id = work.world.pool.rbd_id(f'{ID}_raw')
    work.world.damage(rbd_id)
    work.catalog.delete(ID)
    queue = reconciling.Queue()

    wanted, failed = reconciling.reconcile(node, seen=queue.see)

    assert (wanted, failed) == ([], 1)
    assert [copy.rbd_id for copy in queue.damaged] == [rbd_id]


def test_not_even_a_header_is_needed_to_tell_of_it(work, monkeypatch):
    rbd_id = damaged_in_the_trash(work)
    header = directory.header

    def unreadable(ioctx, asked):
        if asked == rbd_id:
            raise exceptions.Damaged
        return header(ioctx, asked)

    monkeypatch.setattr(directory, 'header', unreadable)

    (told,) = inventory.reap(work.world.pool).damaged
    assert (told.rbd_id, told.virtual_size) == (rbd_id, None)
