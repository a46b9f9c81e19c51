# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore reconcile`` on a real Glance and a real Ceph."""

import uuid
from pathlib import Path

import pytest

from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import in_database
from tests.functional.support import let_import_lock_go_stale
from tests.functional.support import original_facts
from tests.functional.support import sha512


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


def dry_run(cloud: Cloud) -> list[str]:
    """What would be done."""
    done = agents.reconcile(cloud, '--dry-run', '--format', 'json')
    assert done.returncode == 0, done.stderr
    return [action['action'] for action in agents.actions(done.stdout)]


def reconciled(cloud: Cloud, told: str = '') -> list[str]:
    """What was done; then there is nothing left to do.

    :param told: what the operator is, besides; nothing if empty
    """
    done = agents.reconcile(cloud, '--format', 'json')
    assert done.returncode == 0, done.stderr
    assert told in done.stderr if told else not done.stderr
    assert dry_run(cloud) == []
    return [action['action'] for action in agents.actions(done.stdout)]


def await_plan(cloud: Cloud, *actions: str) -> None:
    """Wait until that is to be done: images that just changed are left."""
    await_true(lambda: dry_run(cloud) == [*actions], f'{actions} are planned')


def status(tenant: Tenant, image_id: str) -> str | None:
    """Status of the copy's location."""
    row = tenant.locations(image_id).get('raw')
    return row['metadata']['status'] if row else None


def test_an_empty_cloud_has_nothing_to_do(cloud: Cloud) -> None:
    cloud.restart()  # its workers write down uses of other tests' images
    reconciled(cloud)

    done = agents.reconcile(cloud)

    assert (done.returncode, done.stdout) == (0, 'nothing to do\n')
    assert done.stderr == ''
    assert dry_run(cloud) == []


def test_a_property_on_an_image_that_is_there_makes_and_unmakes_its_copy(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.import_file(small_image)
    tenant.images.update(image_id, raw_cache='true')
    before = original_facts(tenant.images.get(image_id))
    await_plan(cloud, 'make copy')

    assert reconciled(cloud) == ['copy made']

    assert pool.names() == [f'{image_id}_raw']
    assert status(tenant, image_id) == 'active'
    assert tenant.copy_task(image_id)['status'] == 'success'
    assert original_facts(tenant.images.get(image_id)) == before
    assert tenant.download_sha512(image_id) == sha512(small_image)
    tenant.images.update(image_id, raw_cache='false')
    assert reconciled(cloud) == ['remove location', 'delete copy']
    assert pool.names() == []
    assert status(tenant, image_id) is None
    assert tenant.download_sha512(image_id) == sha512(small_image)


def test_an_unwanted_copy_with_clones_waits_in_the_trash(
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    small_image: Path,
    volumes: str,
) -> None:
    image_id = tenant.make_copy(small_image)
    child = f'{volumes}/child'
    cloud.cluster.rbd('clone', f'{cloud.raw_pool}/{image_id}_raw@snap', child)
    tenant.images.update(image_id, remove_props=['raw_cache'])

    assert reconciled(cloud) == ['remove location', 'delete copy']

    assert pool.names() == [f'trash:{image_id}_raw']
    cloud.cluster.rbd('rm', '--no-progress', child)
    assert reconciled(cloud) == ['reap']
    assert pool.names() == []


def test_what_admins_made_by_copy_image_goes_by_an_explicit_no_alone(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.import_file(small_image)
    admin = cloud.client('admin').images
    admin.image_import(image_id, method='copy-image', stores=['raw'])
    await_true(lambda: status(tenant, image_id) == 'active', 'it is copied')
    tenant.await_active(image_id)

    assert dry_run(cloud) == []
    tenant.images.update(image_id, raw_cache='no')
    assert reconciled(cloud) == ['remove location', 'delete copy']
    assert pool.names() == []


def test_a_lost_location_is_put_back(
    cloud: Cloud, tenant: Tenant, small_image: Path
) -> None:
    image_id = tenant.make_copy(small_image)
    before = tenant.locations(image_id)
    in_database(
        cloud,
        "UPDATE image_locations SET deleted = 1, status = 'deleted' "
        "WHERE image_id = ? AND value LIKE '%_raw/snap'",
        image_id,
    )
    assert status(tenant, image_id) is None

    assert reconciled(cloud) == ['put location']

    assert tenant.locations(image_id) == before


def test_a_location_without_its_copy_is_removed_and_the_copy_made_anew(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.make_copy(small_image)
    cloud.cluster.empty_pool(cloud.raw_pool)
    await_plan(cloud, 'remove location', 'make copy')

    assert reconciled(cloud) == ['remove location', 'copy made']

    assert pool.names() == [f'{image_id}_raw']
    assert status(tenant, image_id) == 'active'


def test_an_interrupted_commit_is_finished(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    """As a worker leaves it that is killed before the rename."""
    image_id = tenant.make_copy(small_image)
    name = f'{cloud.raw_pool}/{image_id}_raw'
    cloud.cluster.rbd('mv', name, f'{name}.part')
    in_database(
        cloud,
        'UPDATE image_locations SET meta_data = '
        "replace(meta_data, 'active', 'pending') "
        "WHERE image_id = ? AND value LIKE '%_raw/snap'",
        image_id,
    )
    assert status(tenant, image_id) == 'pending'

    assert reconciled(cloud) == ['finish commit', 'put location']

    assert pool.names() == [f'{image_id}_raw']
    assert status(tenant, image_id) == 'active'


def test_only_what_is_named_like_a_copy_of_a_known_image_is_touched(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.import_file(small_image)
    stranger = str(uuid.uuid4())
    others = sorted([image_id, 'golden', f'{stranger}_raw', 'x_raw.part'])
    part = f'{image_id}_raw.part'
    for name in [*others, part]:
        cloud.cluster.rbd('create', '-s', '1M', f'{cloud.raw_pool}/{name}')
    taken = (raw_copy.META_WORKER, 'gone')
    cloud.cluster.rbd('image-meta', 'set', f'{cloud.raw_pool}/{part}', *taken)

    assert reconciled(cloud, stranger) == ['clear dead part']

    assert sorted(pool.names()) == others


def test_an_import_lock_is_heeded_until_glance_would_break_it(
    cloud: Cloud, tenant: Tenant, small_image: Path
) -> None:
    """As a killed worker leaves it, of a task that is there or not."""
    image_id = tenant.import_file(small_image, raw_cache='false')
    tenant.images.update(image_id, raw_cache='true')
    await_plan(cloud, 'make copy')
    task_id = tenant.tasks(image_id)[0]['id']
    in_database(
        cloud,
        'INSERT INTO image_properties '
        '(image_id, name, value, created_at, deleted) '
        "VALUES (?, 'os_glance_import_task', ?, '2026-01-01', 0)",
        image_id,
        task_id,
    )
    assert dry_run(cloud) == []
    let_import_lock_go_stale(cloud, task_id)
    assert dry_run(cloud) == ['make copy']
    in_database(cloud, 'DELETE FROM task_info WHERE task_id = ?', task_id)
    in_database(cloud, 'DELETE FROM tasks WHERE id = ?', task_id)
    assert reconciled(cloud) == ['copy made']


def test_a_refused_image_is_tried_again_when_it_is_changed(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.import_file(small_image)
    tenant.images.update(image_id, raw_cache='true', raw_cache_weight='heavy')
    await_plan(cloud, 'make copy')

    done = agents.reconcile(cloud)

    assert done.returncode == 1
    assert f'no copy made      {image_id}' in done.stdout
    task = tenant.copy_task(image_id)
    assert task['status'] == 'failure'
    assert 'must be a whole number' in task['message']
    known = agents.known_attempts(pool)[image_id]
    assert (known.count, known.refused) == (1, True)
    shown = agents.run(cloud, 'show', image_id)
    assert shown.returncode == 3
    assert 'last attempt  refused' in shown.stdout
    assert 'must be a whole number' in shown.stdout
    assert dry_run(cloud) == [], 'not before it is changed'
    tenant.images.update(image_id, raw_cache_weight='7')
    await_plan(cloud, 'make copy')
    assert reconciled(cloud) == ['copy made']
    assert agents.known_attempts(pool) == {}
    row = tenant.locations(image_id)['raw']
    assert row['metadata']['metrics']['weight'] == '7'


def test_a_failed_conversion_waits_longer_each_time(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    """The original is away for a while: it may work another time."""
    image_id = tenant.import_file(small_image)
    original = f'{cloud.images_pool}/{image_id}'
    cloud.cluster.rbd('mv', original, f'{original}-away')
    tenant.images.update(image_id, raw_cache='true')
    await_plan(cloud, 'make copy')

    assert agents.reconcile(cloud).returncode == 1

    known = agents.known_attempts(pool)[image_id]
    assert (known.count, known.refused) == (1, False)
    assert pool.names() == []
    assert dry_run(cloud) == [], 'too early'
    cloud.cluster.rbd('mv', f'{original}-away', original)
