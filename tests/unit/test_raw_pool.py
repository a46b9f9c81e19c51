# SPDX-License-Identifier: Apache-2.0
"""The raw pool in memory, and what cannot be had of a real one at will."""

import errno

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle.states import Status
from tests.contract.clones import CloneContract
from tests.contract.clones import consumer
from tests.contract.discard import DiscardContract
from tests.contract.mishaps import AwayContract
from tests.contract.mishaps import FullPoolContract
from tests.contract.mishaps import KilledWriterContract
from tests.contract.raw_pool import RawPoolContract
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.fakes import bindings

__all__ = ['consumer']


class TestRawPool(RawPoolContract):
    """In memory."""


class TestDiscard(DiscardContract):
    """In memory."""


class TestClones(CloneContract):
    """In memory."""


class TestKilledWriter(KilledWriterContract):
    """In memory."""


class TestFullPool(FullPoolContract):
    """In memory."""


class TestAway(AwayContract):
    """In memory."""


def lost():
    raise bindings.rbd_error(errno.ETIMEDOUT, 'no answer')


# What a commit and a delete do to the cluster, in this order.
COMMIT = [
    *('update_features', 'rebuild_object_map', 'metadata_set'),
    *('create_snap', 'protect_snap', 'rename'),
]
DELETE = ['trash_move', 'unprotect_snap', 'remove_snap', 'trash_remove']


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('operation', COMMIT)
def test_a_commit_is_repeated_after_any_operation_that_failed(
    world, operation, when
):
    """Where its answer was lost it was done, and must be found so."""
    image_id, rbd_id = world.begin()
    world.write(image_id)
    world.cluster.on(operation, **{when: lost})

    with pytest.raises(exceptions.CephUnavailable):
        world.pool.commit(image_id, rbd_id, {'glance_rawstore.x': 'y'})
    if world.pool.has_part(image_id, rbd_id):
        world.pool.commit(image_id, rbd_id, {'glance_rawstore.x': 'y'})

    TestRawPool.check_intact(world, image_id)


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('operation', COMMIT)
def test_nothing_is_left_of_a_commit_that_failed_and_was_undone(
    world, operation, when
):
    image_id, rbd_id = world.begin()
    world.write(image_id)
    world.cluster.on(operation, **{when: lost})

    with pytest.raises(exceptions.CephUnavailable):
        world.pool.commit(image_id, world.part_id(image_id), {})
    world.pool.discard(image_id, rbd_id)

    if world.pool.status(image_id) is Status.ACTIVE:
        TestRawPool.check_intact(world, image_id)
    else:
        assert world.names() == world.trash() == []


@pytest.mark.parametrize('when', ['before', 'after'])
@pytest.mark.parametrize('operation', DELETE)
def test_a_delete_is_repeated_after_any_operation_that_failed(
    world, operation, when
):
    image_id, rbd_id = world.copy()
    world.cluster.on(operation, **{when: lost})

    with pytest.raises(exceptions.CephUnavailable):
        world.pool.delete(image_id)
    if world.pool.status(image_id) is not Status.DELETED:
        world.pool.delete(image_id)
    assert world.pool.purge(rbd_id) is True

    assert world.names() == world.trash() == []


@pytest.mark.parametrize('operation', COMMIT)
def test_a_delete_that_comes_in_between_wins_over_the_commit(world, operation):
    image_id, _ = world.begin()
    world.write(image_id)
    other = world.other_node()
    world.cluster.on(operation, before=lambda: other.delete(image_id))

    with pytest.raises(exceptions.RawStoreError):
        world.pool.commit(image_id, world.part_id(image_id), {})

    (rbd_id,) = world.trash() or ['']
    assert world.names() == []
    assert world.pool.purge(rbd_id) is True
    assert world.trash() == []


def test_a_delete_finds_what_was_committed_while_it_looked(world):
    image_id, part_id = world.begin()
    world.write(image_id)
    other = world.other_node()

    def commit():
        other.commit(image_id, part_id, {})

    world.cluster.on('trash_move', before=commit)

    assert world.pool.delete(image_id) is True

    assert world.names() == world.trash() == []


def test_a_clone_that_comes_in_between_keeps_its_parent(world):
    image_id, rbd_id = world.copy()
    raw, volumes = world.consumer(2)
    world.cluster.on(
        'trash_move',
        before=lambda: ceph.rbd.RBD().clone(
            raw, f'{image_id}_raw', 'snap', volumes, 'late', features=1
        ),
    )

    assert world.pool.delete(image_id) is False

    assert world.trash() == [rbd_id]


def test_a_refusal_is_not_taken_for_a_copy_that_is_there(world):
    world.cluster.on('create', before=lost)

    with pytest.raises(exceptions.CephUnavailable):
        world.pool.begin('x', SIZE, MIB)


def test_only_the_watches_of_others_are_ended(world, caplog):
    """A blocklisted client could do nothing more until it connects anew."""
    image_id, rbd_id = world.begin()
    writer = world.writer(image_id)
    assert world.pool.has_part(image_id, rbd_id)
    writer.kill()

    world.pool.discard(image_id, rbd_id)

    assert world.pool.client.address not in world.cluster.blocklist
    assert len(world.cluster.blocklist) == 1
    assert 'stays in the trash' not in caplog.text


def test_it_is_logged_what_could_not_be_discarded(world, caplog):
    image_id, rbd_id = world.begin()
    with world.pool.image(f'{image_id}_raw.part'):
        world.pool.discard(image_id, rbd_id)

    assert f'RBD image {rbd_id} of image {image_id} stays' in caplog.text
