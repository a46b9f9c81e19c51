# SPDX-License-Identifier: Apache-2.0
"""A raw copy is, byte for byte, what qemu-img makes of the original."""

import errno
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glance_rawstore import raw_pool
from glance_rawstore import rbd_image
from tests import images
from tests.cloud import Cloud
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import original_facts
from tests.functional.support import sha512
from tests.waiting import DEADLINE

#: Glance's word where it is not the first part of the builder's name.
DRIVERS = {'vhd': 'vpc'}


def _reference(path: Path, disk_format: str) -> Path:
    """What qemu-img alone makes of an image, in a sparse file."""
    driver = DRIVERS.get(disk_format, disk_format)
    target = path.with_suffix('.reference')
    command = ['qemu-img', 'convert', '-f', driver, '-O', 'raw', path, target]
    subprocess.run(command, check=True, timeout=DEADLINE)
    return target


def _extents(path: Path) -> Iterator[tuple[int, int]]:
    """(offset, length) of the data in a sparse file, at most 4 MiB each."""
    with path.open('rb') as file:
        end = 0
        while True:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError as exc:
                if exc.errno == errno.ENXIO:  # no data from here on
                    return
                raise
            hole = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            end = min(hole, start + (4 << 20))
            yield start, end - start


def _assert_identical(copy: Any, reference: Path) -> None:
    """Size and every byte; what has data in neither is zero in both."""
    assert copy.size() == reference.stat().st_size
    extents = list(_extents(reference))
    copy.diff_iterate(
        0,
        copy.size(),
        None,
        lambda offset, length, exists: extents.append((offset, length)),
        whole_object=True,
    )
    with reference.open('rb') as file:
        for offset, length in extents:
            wanted = os.pread(file.fileno(), length, offset)
            assert copy.read(offset, len(wanted)) == wanted


@pytest.mark.parametrize('name', sorted(set(images.GOOD) - {'vhdx'}))
def test_a_copy_is_identical_and_the_original_untouched(
    cloud: Cloud, pool: Pool, tmp_path: Path, name: str
) -> None:
    _check(cloud, pool, images.GOOD[name](tmp_path), name.split('-')[0])


def test_a_vhdx_converts_where_glance_takes_it(
    lenient_cloud: Cloud, lenient_pool: Pool, tmp_path: Path
) -> None:
    """Glance 33 gives up on a VHDX that it reads in chunks of some MiB."""
    path = images.GOOD['vhdx'](tmp_path)
    _check(lenient_cloud, lenient_pool, path, 'vhdx')


def _check(cloud: Cloud, pool: Pool, path: Path, disk_format: str) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(path, disk_format, raw_cache='true')
    before = original_facts(tenant.images.get(image_id))
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success', task['message']
    assert original_facts(tenant.images.get(image_id)) == before
    assert before['os_hash_value'] == sha512(path)
    assert before['disk_format'] == disk_format
    assert tenant.download_sha512(image_id) == sha512(path)
    with raw_pool.RawPool.open(pool.settings) as opened:
        name = f'{image_id}_raw'
        with opened.image(name, snapshot='snap', read_only=True) as copy:
            _assert_identical(copy, _reference(path, disk_format))
    assert pool.names() == [f'{image_id}_raw']


def test_the_task_tells_bytes_and_seconds(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    task = tenant.copy_task(image_id)
    assert task is not None
    result = task['result']
    with (
        raw_pool.RawPool.open(pool.settings) as opened,
        opened.image(f'{image_id}_raw', read_only=True) as copy,
    ):
        assert result['bytes_used'] == rbd_image.bytes_used(copy)
        assert result['virtual_size_bytes'] == copy.size()
    assert result['seconds'] > 0
    assert result['image_id'] == image_id
    assert task['message'].startswith('The raw copy is ready: ')


def test_a_sparse_image_stays_sparse(
    cloud: Cloud, pool: Pool, tmp_path: Path
) -> None:
    path = images.GOOD['qcow2-2TiB'](tmp_path)
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(path)
    task = tenant.copy_task(image_id)
    assert task is not None
    assert task['result']['virtual_size_bytes'] == 2 << 40
    assert task['result']['bytes_used'] < 64 << 20


def test_the_weight_of_an_image_goes_to_its_location(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image, raw_cache_weight='250')
    metadata = tenant.locations(image_id)['raw']['metadata']
    assert metadata == {
        'store': 'raw',
        'format': 'raw',
        'status': 'active',
        'metrics': {'weight': '250', 'node-weights': {}},
    }


def test_the_copy_has_the_features_that_make_deleting_quick(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    image_id = Tenant(cloud).make_copy(small_image)
    info = json.loads(
        cloud.cluster.rbd(
            'info', '--format', 'json', f'{cloud.raw_pool}/{image_id}_raw'
        )
    )
    assert {'layering', 'object-map', 'fast-diff'} <= set(info['features'])
    assert 'object map invalid' not in info['flags']
    assert pool.names() == [f'{image_id}_raw']
