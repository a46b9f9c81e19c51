# SPDX-License-Identifier: Apache-2.0
"""Copies are looked up by what librbd keeps of its images."""

import dataclasses
import struct
import time
import uuid

import pytest

from glance_rawstore import aio
from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy
from tests.contract.world import DATA
from tests.contract.world import MIB
from tests.contract.world import SIZE


def omap(world, key, prefix=''):
    """What stands in an object, as the bindings give it."""
    with ceph.rados.ReadOpCtx() as operation:
        found, _ = world.pool.ioctx.get_omap_vals(operation, '', prefix, 100)
        world.pool.ioctx.operate_read_op(operation, key)
        return list(found)


def string(value):
    return struct.pack('<I', len(value)) + value.encode()


def header(world, rbd_id):
    """The header of an image, but for the time of its commit."""
    found = directory.header(world.pool.ioctx, rbd_id)
    assert not found.committed or time.time() - found.committed < 60
    assert bool(found.committed) == found.snapshots
    return dataclasses.replace(found, committed=0.0)


class DirectoryContract:
    """Ids by names, and headers by ids, as librbd itself would tell them."""

    def test_a_pool_without_any_image_has_no_ids(self, world):
        assert directory.ids(world.pool.ioctx, ['a', 'b']) == {}
        assert directory.ids(world.pool.ioctx, []) == {}

    def test_what_is_looked_up_ahead_is_what_is_looked_up(self, world):
        ioctx, (image_id, rbd_id) = world.pool.ioctx, world.copy()
        name = raw_copy.name(image_id)
        begun = [directory.begin_ids(ioctx, [name]) for _ in range(50)]
        headers = [
            directory.begin_header(ioctx, of) for of in (rbd_id, 'absent')
        ]

        assert all(ids.result() == {name: rbd_id} for ids in begun)
        assert [found.result() for found in headers] == [
            directory.header(ioctx, rbd_id),
            None,
        ]

    def test_what_is_looked_up_ahead_may_be_left(self, world):
        ioctx, (image_id, rbd_id) = world.pool.ioctx, world.copy()
        for _ in range(50):
            aio.leave(directory.begin_ids(ioctx, [raw_copy.name(image_id)]))
            aio.leave(directory.begin_header(ioctx, rbd_id))

        assert directory.header(ioctx, rbd_id) is not None

    def test_the_ids_are_those_that_librbd_gives(self, world):
        names = [raw_copy.name(world.copy()[0]) for _ in range(3)]
        part = raw_copy.part_name(world.begin()[0])
        world.create('somebody elses')
        asked = [*names, part, 'absent', 'somebody elses']

        found = directory.ids(world.pool.ioctx, asked)

        assert found == {
            name: world.pool.rbd_id(name)
            for name in (*names, part, 'somebody elses')
        }
        assert directory.ids(world.pool.ioctx, names[:1]) == {
            names[0]: found[names[0]]
        }

    def test_a_thousand_names_are_looked_up_in_one_read(self, world):
        image_id, rbd_id = world.copy()
        asked = [raw_copy.name(str(uuid.uuid4())) for _ in range(1000)]
        asked.insert(500, raw_copy.name(image_id))

        found = directory.ids(world.pool.ioctx, asked)

        assert found == {raw_copy.name(image_id): rbd_id}

    def test_no_ids_are_read_from_a_pool_without_any_image(self, world):
        assert directory.ids(world.pool.ioctx, ['a']) == {}

    def test_a_commit_moves_the_id_to_the_other_name(self, world):
        image_id, rbd_id = world.begin()
        names = [raw_copy.part_name(image_id), raw_copy.name(image_id)]
        before = directory.ids(world.pool.ioctx, names)
        world.write(image_id)

        world.pool.commit(image_id, rbd_id, {})

        assert before == {names[0]: rbd_id}
        assert directory.ids(world.pool.ioctx, names) == {names[1]: rbd_id}

    def test_a_name_in_the_trash_is_not_found_but_its_header_is(self, world):
        image_id, rbd_id = world.copy()
        ceph.rbd.RBD().trash_move(world.pool.ioctx, raw_copy.name(image_id), 0)

        assert directory.ids(world.pool.ioctx, [f'{image_id}_raw']) == {}
        assert directory.header(world.pool.ioctx, rbd_id).size == SIZE

    def test_an_active_copy_has_a_snapshot_and_its_usage_noted(self, world):
        _, rbd_id = world.copy()

        assert header(world, rbd_id) == directory.Header(
            size=SIZE, snapshots=True, bytes_used=len(DATA), progress=None
        )

    def test_a_pending_copy_has_its_progress_noted(self, world):
        image_id, rbd_id = world.begin()
        begun = header(world, rbd_id)

        world.pool.set_progress(image_id, rbd_id, 42)

        assert begun == directory.Header(SIZE, False, None, None)
        assert header(world, rbd_id) == directory.Header(
            size=SIZE, snapshots=False, bytes_used=None, progress=42
        )

    def test_image_meta_is_changed_if_all_is_as_it_was(self, world):
        image_id, rbd_id = world.begin()
        ioctx = world.pool.ioctx
        world.pool.note(image_id, rbd_id, 'who', 'me')

        def change(who, before, after):
            compared = {'who': who, 'what': before}
            return directory.change_metas(
                ioctx, rbd_id, compared, {'what': after}
            )

        assert change('me', '', 'one')
        assert change('me', 'one', 'two')
        assert not change('me', 'one', 'three'), 'it was two by then'
        assert not change('you', 'two', 'three')
        assert not change('me', '', 'three')
        asked = ('who', 'what', 'why')
        assert directory.metas(ioctx, rbd_id, asked) == {
            'who': 'me',
            'what': 'two',
        }

    def test_image_meta_of_what_is_gone_is_not_changed(self, world):
        image_id, rbd_id = world.begin()
        world.pool.discard(image_id, rbd_id)
        ioctx = world.pool.ioctx

        for before in ({}, {'what': ''}, {'what': 'one'}):
            with pytest.raises(exceptions.NotFound):
                directory.change_metas(
                    ioctx, rbd_id, {'who': '', **before}, {'what': 'two'}
                )
        assert directory.metas(ioctx, rbd_id, ['what']) == {}
        assert directory.header(ioctx, rbd_id) is None

    def test_the_size_is_that_of_now(self, world):
        image_id, rbd_id = world.begin()

        world.pool.resize(image_id, rbd_id, 5 * MIB)

        assert directory.header(world.pool.ioctx, rbd_id).size == 5 * MIB

    def test_what_is_no_number_is_not_known(self, world):
        image_id, rbd_id = world.begin()
        with world.pool.image(raw_copy.part_name(image_id)) as image:
            image.metadata_set(raw_copy.META_PROGRESS, 'half')
            image.metadata_set(raw_copy.META_BYTES_USED, '')
            image.metadata_set(raw_copy.META_COMMITTED, 'then')

        found = header(world, rbd_id)

        assert found == directory.Header(SIZE, False, None, None)

    def test_there_is_no_header_of_what_is_gone(self, world):
        image_id, rbd_id = world.copy()
        assert world.pool.delete(image_id) is True

        assert directory.header(world.pool.ioctx, rbd_id) is None
        assert directory.header(world.pool.ioctx, 'f00') is None

    def test_the_objects_hold_what_we_read_byte_for_byte(self, world):
        image_id, rbd_id = world.copy()
        name = raw_copy.name(image_id)

        names = omap(world, 'rbd_directory')
        head = dict(omap(world, f'rbd_header.{rbd_id}'))

        assert names == [
            (f'id_{rbd_id}', string(name)),
            (f'name_{name}', string(rbd_id)),
        ]
        assert head['size'] == struct.pack('<Q', SIZE)
        assert head['order'] == b'\x17', 'objects of 8 MiB'
        assert head['object_prefix'] == string(f'rbd_data.{rbd_id}')
        used = head['metadata_glance_rawstore.bytes_used']
        assert used == str(len(DATA)).encode()
        assert head['metadata_glance_rawstore.source_format'] == b'qcow2'
        assert len([key for key in head if key.startswith('snapshot_')]) == 1

    def test_keys_of_an_omap_are_found_by_prefix_and_in_their_order(
        self, world
    ):
        _, rbd_id = world.copy()

        found = [k for k, _ in omap(world, f'rbd_header.{rbd_id}', 'metad')]

        assert found == sorted(found)
        assert set(found) == {
            'metadata_glance_rawstore.bytes_used',
            'metadata_glance_rawstore.committed',
            'metadata_glance_rawstore.source_format',
        }

    def test_a_cluster_that_is_away_is_told_as_such(self, world):
        _, rbd_id = world.copy()
        with world.away() as pool:
            with pytest.raises(exceptions.CephUnavailable):
                directory.ids(pool.ioctx, ['a'])
            with pytest.raises(exceptions.CephUnavailable):
                directory.header(pool.ioctx, rbd_id)
