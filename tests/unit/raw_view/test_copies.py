# SPDX-License-Identifier: Apache-2.0
"""Looking copies up for requests."""

import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import inventory
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import copies
from tests.contract.world import DATA
from tests.contract.world import SIZE


def look(window, *image_ids, trash=False):
    found = window.look(image_ids, trash) or []
    return sorted((image_id, copy.status) for image_id, copy in found)


def counted(monkeypatch, module, name):
    """Have the calls of a function noted."""
    calls = []
    function = getattr(module, name)

    def counting(*args):
        calls.append(args[1:])
        return function(*args)

    monkeypatch.setattr(module, name, counting)
    return calls


def test_an_active_copy_is_described(window, world):
    image_id, _ = world.copy()

    ((found_id, copy),) = window.look([image_id], trash=False)

    assert found_id == image_id
    url = f'rbd://{world.cluster.fsid}/images_raw/{image_id}_raw/snap'
    assert copy.url == url
    assert copy.store == 'raw'
    assert copy.status is Status.ACTIVE
    assert copy.size == SIZE
    assert copy.bytes_used == len(DATA)


def test_a_pending_copy_says_how_far_it_is(window, world):
    image_id, rbd_id = world.begin()
    world.pool.set_progress(image_id, rbd_id, 42)

    ((_, copy),) = window.look([image_id], trash=False)

    assert (copy.status, copy.progress) == (Status.PENDING, 42)


def test_many_images_are_looked_up_at_once(window, world):
    active = [world.copy()[0] for _ in range(3)]
    pending = world.begin()[0]
    absent = [str(uuid.uuid4()) for _ in range(3)]
    world.copy()

    assert look(window, *active, pending, *absent) == sorted(
        [(i, Status.ACTIVE) for i in active] + [(pending, Status.PENDING)]
    )


@pytest.mark.parametrize('pending', [False, True])
def test_what_is_in_the_trash_is_seen_by_those_who_ask_for_it(
    window, world, pending
):
    image_id, _ = world.begin() if pending else world.copy()
    name = f'{image_id}_raw.part' if pending else f'{image_id}_raw'
    ceph.rbd.RBD().trash_move(world.pool.ioctx, name, 0)

    assert look(window, image_id) == []
    assert look(window, image_id, trash=True) == [
        (image_id, Status.PENDING_DELETE)
    ]


def test_a_new_copy_hides_the_one_in_the_trash(window, world):
    image_id, _ = world.copy()
    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    world.copy(image_id)

    assert look(window, image_id, trash=True) == [(image_id, Status.ACTIVE)]


def test_the_trash_is_read_once_in_a_while(window, world, clock, monkeypatch):
    reads = counted(monkeypatch, inventory, 'trashed')
    image_id, _ = world.copy()
    for _ in range(5):
        look(window, str(uuid.uuid4()), trash=True)
    assert len(reads) == 1

    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    clock[0] += copies.TRASH_AGE + 0.1

    assert look(window, image_id, trash=True) != []
    assert len(reads) == 2


def test_one_that_was_purged_from_the_trash_is_not_shown(window, world, clock):
    image_id, rbd_id = world.copy()
    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    assert look(window, image_id, trash=True) != []

    world.pool.purge(rbd_id)

    assert look(window, image_id, trash=True) == []


def test_a_copy_without_a_snapshot_cannot_be_cloned(window, world):
    """Nobody of ours leaves one so; an operator may."""
    image_id, _ = world.copy()
    with world.pool.image(f'{image_id}_raw') as image:
        image.unprotect_snap('snap')
        image.remove_snap('snap')

    assert look(window, image_id) == []


def test_a_copy_that_goes_between_name_and_header_is_not_shown(window, world):
    image_id, _ = world.copy()
    look(window)  # connects
    other = world.other_node()
    world.cluster.on('operate_read_op', after=lambda: other.delete(image_id))

    assert look(window, image_id) == []


def test_headers_of_active_copies_are_remembered_for_lists(
    window, world, monkeypatch
):
    ids = [world.copy()[0] for _ in range(3)]
    look(window, *ids)
    reads = counted(monkeypatch, directory, 'header')

    assert len(look(window, *ids)) == 3
    assert reads == []


def test_the_name_alone_is_read_for_a_tenant_who_asks_again(
    window, world, monkeypatch
):
    image_id, _ = world.copy()
    look(window, image_id, trash=True)
    reads = counted(monkeypatch, directory, 'header')

    assert look(window, image_id, trash=True) == [(image_id, Status.ACTIVE)]
    assert reads == []


def test_one_image_is_always_looked_at_anew_for_a_service(
    window, world, monkeypatch
):
    image_id, rbd_id = world.copy()
    look(window, image_id)
    reads = counted(monkeypatch, directory, 'header')

    look(window, image_id)

    assert reads == [(rbd_id,)]


def test_pending_copies_are_looked_at_anew(window, world):
    (first, rbd_id), (second, _) = world.begin(), world.begin()
    look(window, first, second)
    world.pool.set_progress(first, rbd_id, 50)

    found = dict(window.look([first, second], trash=False))

    assert found[first].progress == 50


def test_a_remembered_copy_that_is_gone_is_not_shown(window, world):
    first, second = world.copy()[0], world.copy()[0]
    look(window, first, second)

    world.pool.delete(first)

    assert look(window, first, second) == [(second, Status.ACTIVE)]


def test_a_copy_that_was_made_anew_is_the_new_one(window, world):
    first, second = world.copy()[0], world.copy()[0]
    look(window, first, second)
    world.pool.delete(first)
    _, rbd_id = world.begin(first)
    world.pool.resize(first, rbd_id, SIZE * 2)
    world.pool.commit(first, rbd_id, {})

    found = dict(window.look([first, second], trash=False))

    assert found[first].size == SIZE * 2


def test_memory_is_bounded(window, world, monkeypatch):
    monkeypatch.setattr(copies, 'REMEMBERED', 2)
    ids = [world.copy()[0] for _ in range(5)]

    for _ in range(3):
        assert len(look(window, *ids)) == 5

    assert len(window._known) <= 2
