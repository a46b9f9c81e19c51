# SPDX-License-Identifier: Apache-2.0
"""What users may do to an image while its raw copy is being made."""

import time
from concurrent import futures
from pathlib import Path

import pytest
from glanceclient import exc

from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import open_tasks
from tests.functional.support import original_facts
from tests.functional.support import sha512


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


def test_a_pending_copy_shows_on_location_task_and_command(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        location = tenant.locations(image_id)['raw']
        assert location['metadata']['status'] == 'pending'
        assert location['metadata']['format'] == 'raw'
        assert location['metadata']['metrics']['weight'] == '100'
        assert location['url'].endswith(f'/{image_id}_raw/snap')
        assert pool.names() == [f'{image_id}_raw.part']
        assert tenant.copy_task(image_id)['status'] == 'processing'
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    status = tenant.locations(image_id)['raw']['metadata']['status']
    assert status == 'active'
    assert pool.names() == [f'{image_id}_raw']


def test_the_original_downloads_unchanged_while_pending(
    cloud: Cloud, tenant: Tenant, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        during = original_facts(tenant.images.get(image_id))
        assert tenant.download_sha512(image_id) == sha512(big_image)
    tenant.await_copy_task(image_id)
    assert original_facts(tenant.images.get(image_id)) == during
    assert during['os_hash_value'] == sha512(big_image)
    assert tenant.download_sha512(image_id) == sha512(big_image)


def test_a_patch_while_pending_keeps_both_the_patch_and_the_copy(
    cloud: Cloud, tenant: Tenant, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        tenant.images.update(image_id, os_distro='debian', min_ram=512)
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    image = tenant.images.get(image_id)
    assert (image.os_distro, image.min_ram) == ('debian', 512)
    status = tenant.locations(image_id)['raw']['metadata']['status']
    assert status == 'active'


def test_a_second_import_while_pending_is_a_conflict(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud), pytest.raises(exc.HTTPConflict):
        tenant.images.image_import(image_id, method='glance-direct')
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert pool.names() == [f'{image_id}_raw']


def test_copy_image_to_another_store_works_while_pending(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        admin = cloud.client('admin').images
        admin.image_import(image_id, method='copy-image', stores=['fast'])
        await_true(
            lambda: 'fast' in tenant.images.get(image_id).stores,
            'the image is in the store fast',
        )
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert set(tenant.locations(image_id)) == {'ceph', 'fast', 'raw'}
    status = tenant.locations(image_id)['raw']['metadata']['status']
    assert status == 'active'


def test_copy_image_that_outlasts_the_conversion_keeps_the_location(
    cloud: Cloud, tenant: Tenant, big_image: Path
) -> None:
    """It saves the locations that it read before ours was there."""
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud) as conversion:
        admin = cloud.client('admin').images
        admin.image_import(image_id, method='copy-image', stores=['fast'])
        conversion.go_on()
        task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success'
    tenant.await_active(image_id)
    assert set(tenant.locations(image_id)) == {'ceph', 'fast', 'raw'}


def test_copy_image_into_the_raw_store_while_pending_is_refused(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        admin = cloud.client('admin').images
        with pytest.raises(exc.HTTPBadRequest, match='already present'):
            admin.image_import(image_id, method='copy-image', stores=['raw'])
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert pool.names() == [f'{image_id}_raw']


@pytest.mark.parametrize('stores', [['ceph'], ['fast']])
def test_deleting_the_image_while_pending_leaves_nothing(
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    big_image: Path,
    stores: list[str],
) -> None:
    """Glance's rbd driver refuses while qemu-img has the original open.

    The raw view asks it again when the conversion has let go.
    """
    image_id = holding.converted_when_stored(tenant, big_image, stores=stores)
    await_true(
        lambda: holding.converting(cloud) and pool.objects('rbd_data.'),
        'a conversion writes',
    )
    begun = time.monotonic()
    with futures.ThreadPoolExecutor(1) as clock:
        stopped = clock.submit(_await_none_converting, cloud)
        tenant.images.delete(image_id)
    # Within 2 s, on a machine that has nothing else to do.
    print(f'the conversion stopped in {stopped.result() - begun:.1f} s')
    pool.await_empty()
    with pytest.raises(exc.HTTPNotFound):
        tenant.images.get(image_id)
    await_true(lambda: not open_tasks(cloud, image_id), 'its tasks have ended')


def _await_none_converting(cloud: Cloud) -> float:
    """When the last conversion had stopped."""
    await_true(lambda: not holding.converting(cloud), 'none converts')
    return time.monotonic()


def test_an_original_that_could_not_be_deleted_is_whole_again(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    """What is left of it when the deletion is refused at the worst moment."""
    image_id = holding.converted_when_stored(tenant, big_image)
    with holding.held(cloud):
        name = f'{cloud.images_pool}/{image_id}@snap'
        cloud.cluster.rbd('snap', 'unprotect', name)
        cloud.cluster.rbd('snap', 'rm', '--no-progress', name)
    assert tenant.await_copy_task(image_id)['status'] == 'failure'
    assert tenant.download_sha512(image_id) == sha512(big_image)
    tenant.images.delete(image_id)
    assert pool.names() == []


def test_deleting_from_the_raw_store_while_pending_cancels_the_copy(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        cloud.client('admin').images.delete_from_store('raw', image_id)
        task = tenant.await_copy_task(image_id)
    assert task['status'] == 'failure'
    assert 'deleted while it was being made' in task['message']
    pool.await_empty()
    assert set(tenant.locations(image_id)) == {'ceph'}
    assert tenant.images.get(image_id).status == 'active'


def test_messages_come_though_a_conversion_stands_still(
    cloud: Cloud, tenant: Tenant, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')

    def told(since: str = '') -> str | None:
        task = tenant.copy_task(image_id)
        told = task['message'].startswith('Converting to raw: ')
        when = str(task['updated_at'])
        return when if told and when != since else None

    with holding.held(cloud):
        first = await_true(told, 'it says what it does')
        began = time.monotonic()
        await_true(lambda: told(first), 'it says so again')
        # Every second, on a machine that has nothing else to do.
        print(f'the next message came after {time.monotonic() - began:.1f} s')
    tenant.await_copy_task(image_id)
