# SPDX-License-Identifier: Apache-2.0
"""Looking copies up in a raw pool in memory."""

import pytest

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore.lifecycle import raw_copy
from tests.contract.directory import DirectoryContract


class TestDirectory(DirectoryContract):
    """In memory."""


def test_nothing_is_asked_for_no_names(world):
    world.cluster.away = True

    assert directory.ids(world.pool.ioctx, []) == {}


def test_a_header_without_a_size_is_none(world):
    """As what ``full`` in raw_pool.py may leave of one that is gone."""
    world.pool.ioctx.append('rbd_header.f00', b'?')

    assert directory.header(world.pool.ioctx, 'f00') is None


def test_a_name_that_is_not_ascii_is_found(world):
    world.create('Räuber')

    assert list(directory.ids(world.pool.ioctx, ['Räuber'])) == ['Räuber']


def test_a_look_costs_two_reads(world):
    image_id, rbd_id = world.copy()
    reads = []
    read = type(world.pool.ioctx).operate_aio_read_op

    class Counting:
        def __getattr__(self, name):
            return getattr(world.pool.ioctx, name)

        def operate_aio_read_op(self, operation, key):
            reads.append(key)
            return read(world.pool.ioctx, operation, key)

    ioctx = Counting()
    directory.ids(ioctx, [raw_copy.name(image_id)])
    directory.header(ioctx, rbd_id)

    assert reads == ['rbd_directory', f'rbd_header.{rbd_id}']


def test_meta_of_an_image_that_is_gone_leaves_no_header(world):
    image_id, rbd_id = world.begin()
    world.pool.delete(image_id)

    directory.set_meta(world.pool.ioctx, rbd_id, 'key', 'value')

    with pytest.raises(ceph.rados.ObjectNotFound):
        world.pool.ioctx.stat(f'rbd_header.{rbd_id}')


def test_a_header_that_cannot_be_read_is_none_and_stays(world):
    """It may be that of an image which somebody will mend."""
    ioctx = world.pool.ioctx
    for key in ('size', 'create_timestamp'):
        ceph.write_omap(ioctx, 'rbd_header.f00', key, b'?')

    assert directory.header(ioctx, 'f00') is None
    assert directory.created(ioctx, 'f00') is None
    assert directory.remove_stray(ioctx, 'f00') is False
    ioctx.stat('rbd_header.f00')
