# SPDX-License-Identifier: Apache-2.0
"""Glance's own verbs for stores, and originals that are not in Ceph."""

from pathlib import Path
from typing import Any

import pytest
import rbd
from glanceclient import exc

from glance_rawstore import ceph
from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import original_facts
from tests.functional.support import sha512


def _copy_image(tenant: Tenant, image_id: str, store: str) -> Any:
    admin = tenant.cloud.client('admin').images
    admin.image_import(image_id, method='copy-image', stores=[store])
    return tenant.await_active(image_id)


def test_copy_image_into_the_raw_store_converts(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image)
    before = original_facts(tenant.images.get(image_id))
    after = original_facts(_copy_image(tenant, image_id, 'raw'))
    assert {**after, 'updated_at': ''} == {**before, 'updated_at': ''}
    location = tenant.locations(image_id)['raw']
    assert location['url'].endswith(f'/{image_id}_raw/snap')
    assert location['metadata']['status'] == 'active'
    assert pool.names() == [f'{image_id}_raw']
    pool.assert_identical(image_id, small_image)
    assert tenant.download_sha512(image_id) == sha512(small_image)


def test_stores_delete_removes_the_copy_and_copy_image_brings_it_back(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    cloud.client('admin').images.delete_from_store('raw', image_id)
    assert pool.names() == []
    _copy_image(tenant, image_id, 'raw')
    assert pool.names() == [f'{image_id}_raw']
    tenant.images.delete(image_id)
    assert pool.names() == []


def test_the_original_cannot_be_deleted_from_its_only_store(
    cloud: Cloud, small_image: Path
) -> None:
    """To Glance the raw copy is as good; but nobody can download it."""
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    admin = cloud.client('admin').images
    with pytest.raises(exc.HTTPForbidden, match='cannot be downloaded'):
        admin.delete_from_store('ceph', image_id)
    assert tenant.download_sha512(image_id) == sha512(small_image)
    _copy_image(tenant, image_id, 'fast')
    admin.delete_from_store('ceph', image_id)
    assert set(tenant.locations(image_id)) == {'fast', 'raw'}
    assert tenant.download_sha512(image_id) == sha512(small_image)


def test_raw_bytes_in_the_raw_store_are_kept_and_served(
    cloud: Cloud, pool: Pool, raw_files: dict[str, Path]
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(raw_files['raw'], 'raw')
    _copy_image(tenant, image_id, 'raw')
    assert pool.names() == [image_id]
    cloud.client('admin').images.delete_from_store('ceph', image_id)
    assert tenant.download_sha512(image_id) == sha512(raw_files['raw'])
    tenant.images.delete(image_id)
    assert pool.names() == []


def test_the_raw_store_refuses_to_be_an_images_only_store(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(small_image, stores=['raw'])

    def failed() -> bool:
        return any(t['status'] == 'failure' for t in tenant.tasks(image_id))

    await_true(failed, 'the import has failed')
    assert pool.names() == []
    assert 'cannot be the only store of an image' in cloud.log()


def test_an_import_into_both_stores_at_once_converts(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image, stores=['ceph', 'raw'])
    assert set(tenant.locations(image_id)) == {'ceph', 'raw'}
    assert pool.names() == [f'{image_id}_raw']
    assert tenant.download_sha512(image_id) == sha512(small_image)


def test_an_original_in_a_file_store_is_spooled_and_the_spool_is_gone(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(
        small_image, stores=['fast'], raw_cache='true'
    )
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert set(tenant.locations(image_id)) == {'fast', 'raw'}
    pool.assert_identical(image_id, small_image)
    assert _scratch(cloud) == []


def _scratch(cloud: Cloud) -> list[str]:
    """Names in the scratch directory, but for the empty lock files."""
    directory = cloud.directory / 'tasks'
    return [
        path.name
        for path in directory.rglob('*')
        if path.is_file() and not path.name.endswith('.lock')
    ]


def test_a_spool_is_gone_even_when_the_api_is_killed(
    cloud: Cloud, pool: Pool, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    holding.converted_when_stored(tenant, big_image, stores=['fast'])
    try:
        with holding.held(cloud) as conversion:
            cloud.kill()
            await_true(
                lambda: (
                    not conversion.process.is_running()
                    or conversion.process.status() == 'zombie'
                ),
                'qemu-img dies with the API',
            )
        assert _scratch(cloud) == []
    finally:
        cloud.start()


def test_an_original_in_ceph_uses_no_scratch_space(
    cloud: Cloud, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = holding.converted_when_stored(tenant, big_image)
    with holding.held(cloud):
        assert _scratch(cloud) == []
        scratch = f'{cloud.directory}/tasks/'
        for target in holding.opened(cloud):
            assert scratch not in target or target.endswith('.lock')
    tenant.await_copy_task(image_id)


def test_an_original_that_another_tool_put_into_the_raw_pool_is_served(
    cloud: Cloud, pool: Pool, raw_files: dict[str, Path]
) -> None:
    """As Nova's direct snapshots are (design, fact 14)."""
    tenant = Tenant(cloud)
    image_id = tenant.images.create(
        name='snapshot', disk_format='raw', container_format='bare'
    )['id']
    data = raw_files['raw'].read_bytes()
    with ceph.connect(pool.settings) as (client, ioctx):
        rbd.RBD().create(ioctx, image_id, len(data), old_format=False)
        with rbd.Image(ioctx, image_id) as image:
            image.write(data, 0)
            image.create_snap('snap')
            image.protect_snap('snap')
        fsid = client.get_fsid()
    url = f'rbd://{fsid}/{cloud.raw_pool}/{image_id}/snap'
    tenant.cloud.client('admin').images.add_location(image_id, url, {})
    assert tenant.await_active(image_id).size == len(data)
    assert tenant.download_sha512(image_id) == sha512(raw_files['raw'])
    assert pool.reap().gone == ()
    tenant.images.delete(image_id)
    assert pool.names() == []
