# SPDX-License-Identifier: Apache-2.0
"""Conversions that begin while the image is being stored, by real imports."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from glanceclient import exc

from tests import images
from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.conftest import region
from tests.functional.support import FROM_STAGED
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import full
from tests.functional.support import importing
from tests.functional.support import open_tasks
from tests.functional.support import sha512
from tests.functional.support import tidy

#: A plugin of Glance's own comes after ours, and puts another file in the
#: staged one's place.
REPLACING = {
    'image_import_opts': {
        'image_import_plugins': "['raw_cache','image_conversion']"
    },
    'image_conversion': {'output_format': 'vmdk'},
    'glance_rawstore': {'convert_staged': 'always'},
    'wsgi': {'python_interpreter': sys.executable},
}


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


@pytest.fixture(scope='module')
def _replacing(running_cloud: Cloud) -> Iterator[Cloud]:
    with region(running_cloud, 'Replacing', REPLACING) as running:
        yield running


@pytest.fixture(scope='module')
def _after(running_cloud: Cloud) -> Iterator[Cloud]:
    overrides = {'glance_rawstore': {'convert_staged': 'after'}}
    with region(running_cloud, 'After', overrides) as running:
        yield running


@pytest.fixture
def after(_after: Cloud) -> Iterator[Cloud]:
    """A Glance that converts staged files when they are stored."""
    yield _after
    tidy(_after)


@pytest.fixture
def replacing(_replacing: Cloud) -> Iterator[Cloud]:
    """A Glance that converts to VMDK before it stores, after our plugin."""
    yield _replacing
    tidy(_replacing)


def staged(cloud: Cloud) -> list[str]:
    """What of the staging directory the API's workers have open."""
    directory = f'{cloud.directory}/staging/'
    return [t for t in holding.opened(cloud) if t.startswith(directory)]


def assert_let_go(cloud: Cloud) -> None:
    """Nothing is staged, nor open of what was."""
    await_true(lambda: not staged(cloud), 'no staged file is open')
    assert list((cloud.directory / 'staging').iterdir()) == []


def test_a_staged_file_is_converted_whatever_becomes_of_its_name(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud, imported=False) as conversion:
        source = ' '.join(conversion.process.cmdline())
        image = tenant.await_active(image_id)
        assert list((cloud.directory / 'staging').iterdir()) == []
        (held,) = staged(cloud)
        assert held.endswith('(deleted)')
        assert pool.names() == [f'{image_id}_raw.part']
        assert conversion.process.nice() == 19, 'it holds up the upload'
    task = tenant.await_copy_task(image_id)

    assert '/proc/' in source
    assert f'{cloud.images_pool}"' not in source, 'it does not read from RBD'
    assert task['status'] == 'success'
    assert image.os_hash_value == sha512(big_image)
    pool.assert_identical(image_id, big_image)
    assert tenant.download_sha512(image_id) == sha512(big_image)
    assert_let_go(cloud)


def test_a_raw_pool_that_fills_up_meanwhile_costs_the_image_nothing(
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    small_image: Path,
    big_image: Path,
) -> None:
    there = tenant.make_copy(small_image)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud, imported=False) as conversion, full(cloud):
        assert '/proc/' in ' '.join(conversion.process.cmdline())
        conversion.go_on()
        image = tenant.await_active(image_id)
        task = tenant.await_copy_task(image_id)

    assert task['status'] == 'failure'
    assert task['message'].startswith('The pool for raw copies is full')
    assert 'quota' in task['message'], 'it says what to do'
    assert image.os_hash_value == sha512(big_image)
    assert set(tenant.locations(image_id)) == {'ceph'}
    assert tenant.download_sha512(image_id) == sha512(big_image)
    assert pool.names() == [f'{there}_raw']
    assert_let_go(cloud)


def test_a_staged_file_is_converted_as_soon_as_its_upload_has_ended(
    after: Cloud, big_image: Path
) -> None:
    tenant, pool = Tenant(after), Pool(after)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(after, imported=False) as conversion:
        source = ' '.join(conversion.process.cmdline())
        priority = (
            os.sched_getscheduler(conversion.process.pid),
            conversion.process.nice(),
        )
        assert list((after.directory / 'staging').iterdir()) == []
        tenant.await_active(image_id)
        assert pool.names() == [f'{image_id}_raw.part']
    task = tenant.await_copy_task(image_id)

    assert '/proc/' in source
    assert f'{after.images_pool}"' not in source, 'it does not read from RBD'
    assert priority == (os.SCHED_OTHER, 19)
    assert task['status'] == 'success'
    pool.assert_identical(image_id, big_image)
    assert_let_go(after)


@pytest.mark.parametrize('name', ['qcow2', 'qcow2-zlib', 'qcow2-zeroed'])
def test_a_copy_is_identical_that_was_begun_after_the_upload(
    after: Cloud, tmp_path: Path, name: str
) -> None:
    tenant, pool = Tenant(after), Pool(after)
    path = images.GOOD[name](tmp_path)
    before = len(after.log())

    image_id = tenant.make_copy(path, path.suffix[1:])

    assert FROM_STAGED in _log_since(after, before)
    assert pool.names() == [f'{image_id}_raw']
    pool.assert_identical(image_id, path)
    assert tenant.download_sha512(image_id) == sha512(path)
    assert_let_go(after)


def test_an_image_that_is_deleted_meanwhile_leaves_nothing(
    cloud: Cloud, tenant: Tenant, pool: Pool, big_image: Path
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        tenant.images.delete(image_id)  # at once: nobody reads the original
    pool.await_empty()
    assert_let_go(cloud)
    with pytest.raises(exc.HTTPNotFound):
        tenant.images.get(image_id)
    await_true(lambda: not open_tasks(cloud, image_id), 'its tasks have ended')


def _import(tenant: Tenant, path: Path, disk_format: str) -> str:
    image_id = tenant.start_import(path, disk_format, raw_cache='true')
    await_true(lambda: not importing(tenant.cloud), 'the import has ended')
    return image_id


def _log_since(cloud: Cloud, before: int) -> str:
    return cloud.log()[before:]


def test_what_a_later_plugin_puts_in_its_place_is_what_is_converted(
    replacing: Cloud, big_image: Path
) -> None:
    tenant, pool = Tenant(replacing), Pool(replacing)
    before = len(replacing.log())

    image_id = _import(tenant, big_image, 'qcow2')
    task = tenant.await_copy_task(image_id)

    image: Any = tenant.images.get(image_id)
    assert (image.disk_format, task['status']) == ('vmdk', 'success')
    assert image.size != big_image.stat().st_size
    log = _log_since(replacing, before)
    assert 'what was staged is not what was stored' in log
    pool.assert_identical(image_id, big_image)
    assert pool.names() == [f'{image_id}_raw']
    assert_let_go(replacing)


def test_an_import_that_a_later_plugin_fails_leaves_nothing(
    replacing: Cloud, tmp_path: Path
) -> None:
    """qemu-img knows no format of the name vhd."""
    tenant, pool = Tenant(replacing), Pool(replacing)
    contents = images.Contents(size=256 << 20, data=64 << 20)
    path = images.converted(tmp_path, 'vpc', contents=contents)

    image_id = _import(tenant, path, 'vhd')

    assert tenant.images.get(image_id).status == 'queued'
    pool.await_empty()
    assert_let_go(replacing)
    assert tenant.copy_task(image_id) is None
