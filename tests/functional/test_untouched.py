# SPDX-License-Identifier: Apache-2.0
"""Who does not ask for a raw copy does not notice that we are there."""

from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import sha512


@pytest.mark.parametrize('properties', [{}, {'raw_cache': 'false'}])
def test_an_import_without_the_wish_leaves_no_trace(
    cloud: Cloud, pool: Pool, small_image: Path, properties: dict[str, str]
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image, **properties)
    image = tenant.images.get(image_id)
    assert image.os_hash_value == sha512(small_image)
    assert [task['status'] for task in tenant.tasks(image_id)] == ['success']
    assert set(tenant.locations(image_id)) == {'ceph'}
    assert tenant.locations(image_id)['ceph']['metadata'] == {'store': 'ceph'}
    assert pool.names() == []
    extra = {k for k in image if k.startswith('raw')} - set(properties)
    assert not extra


@pytest.mark.parametrize('disk_format', ['raw', 'iso'])
def test_a_raw_image_is_a_recorded_no_op(
    cloud: Cloud, pool: Pool, raw_files: dict[str, Path], disk_format: str
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(
        raw_files[disk_format], disk_format, raw_cache='true'
    )
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success'
    assert task['message'] == f'A {disk_format} image needs no raw copy.'
    assert pool.names() == []
    assert set(tenant.locations(image_id)) == {'ceph'}


def test_an_image_that_fails_to_import_gets_no_task_and_no_copy(
    cloud: Cloud, pool: Pool, tmp_path: Path
) -> None:
    garbage = tmp_path / 'garbage.qcow2'
    garbage.write_bytes(b'not a disk image' * 4096)
    tenant = Tenant(cloud)
    image_id = tenant.start_import(garbage, raw_cache='true')
    (task,) = _await_import(tenant, image_id)
    assert task['status'] == 'failure'
    assert pool.names() == []
    assert tenant.copy_task(image_id) is None


def _await_import(tenant: Tenant, image_id: str) -> list[dict[str, object]]:
    from tests.functional.support import await_true

    def ended() -> list[dict[str, object]] | None:
        tasks = tenant.tasks(image_id)
        done = all(t['status'] in ('success', 'failure') for t in tasks)
        return tasks if tasks and done else None

    found: list[dict[str, object]] = await_true(ended, 'the import ended')
    return found
