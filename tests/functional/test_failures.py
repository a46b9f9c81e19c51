# SPDX-License-Identifier: Apache-2.0
"""A copy that cannot be made harms nothing and leaves nothing."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import images
from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import full
from tests.functional.support import sha512

Build = Callable[[Path], Path]


def _refused(cloud: Cloud, pool: Pool, path: Path, **kwargs: Any) -> str:
    """Import, see the copy fail and the image unharmed; gives the message."""
    tenant = Tenant(cloud)
    image_id = tenant.start_import(path, raw_cache='true', **kwargs)
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'failure', task
    _unharmed(tenant, pool, image_id, path)
    return str(task['message'])


def _unharmed(tenant: Tenant, pool: Pool, image_id: str, path: Path) -> None:
    image = tenant.await_active(image_id)
    assert image.os_hash_value == sha512(path)
    assert set(tenant.locations(image_id)) == {'ceph'}
    assert pool.names() == []
    assert tenant.download_sha512(image_id) == sha512(path)
    assert not list((tenant.cloud.directory / 'staging').iterdir())


@pytest.mark.parametrize(
    ('properties', 'sentence'),
    [
        (
            {'raw_cache': 'banana'},
            "The property raw_cache must be true or false, not 'banana'.",
        ),
        (
            {'raw_cache_weight': 'heavy'},
            'The property raw_cache_weight must be a whole number, not '
            "'heavy'.",
        ),
    ],
)
def test_a_property_that_cannot_be_read_is_named(
    cloud: Cloud,
    pool: Pool,
    small_image: Path,
    properties: dict[str, str],
    sentence: str,
) -> None:
    wish = {'raw_cache': 'true', **properties}
    tenant = Tenant(cloud)
    image_id = tenant.start_import(small_image, **wish)
    task = tenant.await_copy_task(image_id)
    assert (task['status'], task['message']) == ('failure', sentence)
    _unharmed(tenant, pool, image_id, small_image)


def test_a_container_that_is_not_bare_is_refused(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    message = _refused(cloud, pool, small_image, container_format='ova')
    assert 'only bare is' in message


def test_an_unsupported_format_is_refused_naming_those_supported(
    cloud: Cloud, pool: Pool, raw_files: dict[str, Path]
) -> None:
    message = _refused(cloud, pool, raw_files['raw'], disk_format='ploop')
    assert 'ploop is not supported' in message
    assert 'qcow2' in message


@pytest.mark.parametrize(
    ('build', 'words'),
    [
        (images.encrypted, 'is encrypted'),
        (images.nested, 'is itself a qcow2 image'),
        (images.bomb, 'is larger than the 4096 GiB'),
    ],
)
def test_a_hostile_image_that_glance_accepts_is_refused(
    cloud: Cloud, pool: Pool, tmp_path: Path, build: Build, words: str
) -> None:
    assert words in _refused(cloud, pool, build(tmp_path))


@pytest.mark.parametrize(
    ('build', 'words'),
    [
        (images.backing_file, 'has a backing file'),
        (images.data_file, 'keeps its data in another file'),
        (images.unknown_feature, 'features that are not supported'),
        (images.mismatch, 'its data is not qcow2'),
        (images.garbage, 'features that are not supported'),
    ],
)
def test_what_glance_would_refuse_is_refused_by_us_as_well(
    cloud: Cloud,
    pool: Pool,
    small_image: Path,
    tmp_path: Path,
    build: Build,
    words: str,
) -> None:
    """Glance inspects imports, but not what lies in its stores since ever.

    So the file in the store is changed behind Glance's back, before the
    conversion gets a slot.
    """
    tenant = Tenant(cloud)
    with holding.no_slots(cloud):
        image_id = tenant.start_import(
            small_image, stores=['fast'], raw_cache='true'
        )
        tenant.await_copy_task(image_id, ('pending',))
        stored = cloud.directory / 'fast' / image_id
        hostile = build(tmp_path).read_bytes()[: small_image.stat().st_size]
        stored.write_bytes(hostile.ljust(small_image.stat().st_size, b'\0'))
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'failure'
    assert words in task['message']
    assert pool.names() == []
    assert set(tenant.locations(image_id)) == {'fast'}


def test_an_image_larger_than_allowed_is_refused_with_both_sizes(
    cloud: Cloud, pool: Pool, tmp_path: Path
) -> None:
    contents = images.Contents(size=5000 << 30, data=0)
    message = _refused(cloud, pool, images.qcow2(tmp_path, contents=contents))
    assert '5000.0 GiB' in message
    assert '4096 GiB' in message


def test_a_full_raw_pool_fails_clearly_and_leaves_nothing(
    cloud: Cloud, pool: Pool, small_image: Path, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    there = tenant.make_copy(small_image)
    with full(cloud):
        image_id = tenant.start_import(big_image, raw_cache='true')
        task = tenant.await_copy_task(image_id)
    assert task['status'] == 'failure'
    assert task['message'].startswith('The pool for raw copies is full')
    assert set(tenant.locations(image_id)) == {'ceph'}
    assert pool.names() == [f'{there}_raw']


def test_a_cluster_that_goes_away_for_a_while_delays_only(
    cloud: Cloud, pool: Pool, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        cloud.cluster.pause_osd()
    try:
        await_true(
            lambda: tenant.copy_task(image_id)['status'] == 'processing',
            'the task is processing',
        )
    finally:
        cloud.cluster.resume_osd()
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert pool.names() == [f'{image_id}_raw']


def test_a_cluster_that_stays_away_ends_in_failure_and_nothing_left(
    impatient_cloud: Cloud, impatient_pool: Pool, big_image: Path
) -> None:
    """With operation timeouts, as operators set them."""
    cloud = impatient_cloud
    tenant = Tenant(cloud)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        cloud.cluster.pause_osd()
    try:
        await_true(
            lambda: not holding.converting(cloud), 'the conversion is given up'
        )
    finally:
        cloud.cluster.resume_osd()
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'failure'
    assert 'no progress' in task['message']
    impatient_pool.await_empty()
    assert tenant.images.get(image_id).status == 'active'
