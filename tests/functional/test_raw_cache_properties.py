# SPDX-License-Identifier: Apache-2.0
"""How tenants follow their copy on the image itself."""

import sqlite3
from pathlib import Path

import pytest
import requests

from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.callers import Caller
from tests.functional.callers import nova
from tests.functional.consumer import Consumer
from tests.functional.support import Tenant
from tests.functional.support import await_true

OURS = ('raw_cache_status', 'raw_cache_progress', 'raw_cache_size')


def ours(cloud: Cloud, image_id: str) -> dict[str, str]:
    """Our properties, as a tenant sees them."""
    shown = Caller(cloud).image(image_id)
    return {name: shown[name] for name in OURS if name in shown}


def test_a_tenant_follows_the_copy_from_pending_to_active(
    cloud: Cloud, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        tenant.await_active(image_id)
        before = tenant.images.get(image_id)['updated_at']
        shown = ours(cloud, image_id)
        assert shown['raw_cache_status'] == 'pending'
        assert 0 <= int(shown['raw_cache_progress']) < 100
    tenant.await_copy_task(image_id)
    shown = ours(cloud, image_id)
    assert shown['raw_cache_status'] == 'active'
    assert shown['raw_cache_progress'] == '100'
    assert int(shown['raw_cache_size']) >= 192 << 20
    # They cost no write to the image's record.
    assert tenant.images.get(image_id)['updated_at'] == before


def test_a_copy_that_waits_for_its_turn_is_pending(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    with holding.no_slots(cloud):
        image_id = tenant.import_file(small_image, raw_cache='true')
        await_true(lambda: tenant.copy_task(image_id), 'a task')
        assert ours(cloud, image_id) == {
            'raw_cache_status': 'pending',
            'raw_cache_progress': '0',
        }
    tenant.await_copy_task(image_id)


def test_an_image_without_a_wish_has_none_of_them(
    cloud: Cloud, small_image: Path
) -> None:
    assert ours(cloud, Tenant(cloud).import_file(small_image)) == {}


def test_a_failed_copy_is_an_error(cloud: Cloud, small_image: Path) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(
        small_image, raw_cache='true', raw_cache_weight='heavy'
    )
    tenant.await_copy_task(image_id)
    assert ours(cloud, image_id) == {'raw_cache_status': 'error'}


def test_a_trashed_copy_is_pending_delete(
    cloud: Cloud, small_image: Path, volumes: str
) -> None:
    del volumes  # it is there
    image_id = Tenant(cloud).make_copy(small_image)
    Consumer(cloud, 2).clone(image_id, 'volume')
    cloud.client('admin').images.delete_from_store('raw', image_id)

    def is_seen() -> dict[str, str] | None:
        shown = ours(cloud, image_id)
        status = shown.get('raw_cache_status')
        return shown if status == 'pending_delete' else None

    # Each worker of the API remembers for 2 s what is in the trash.
    shown = await_true(is_seen, 'it is seen')
    assert int(shown['raw_cache_size']) > 0


def test_a_list_shows_them_too(cloud: Cloud, small_image: Path) -> None:
    image_id = Tenant(cloud).make_copy(small_image)

    (shown,) = Caller(cloud).get()['images']
    assert shown == Caller(cloud).image(image_id)
    assert shown['raw_cache_status'] == 'active'


@pytest.mark.parametrize('user', ['alice', 'admin'])
@pytest.mark.parametrize('name', OURS)
def test_nobody_but_a_service_may_write_them(
    cloud: Cloud, small_image: Path, user: str, name: str
) -> None:
    image_id = Tenant(cloud).import_file(small_image)
    caller = Caller(cloud, user)

    change = {'op': 'add', 'path': f'/{name}', 'value': 'active'}
    refused = caller.patch(image_id, change)
    assert refused.status_code == 403
    assert name in refused.text
    created = caller.ask('POST', '', json={'name': 'mine', name: 'active'})
    assert created.status_code == 403
    assert len(caller.get()['images']) == 1


def _created(answer: requests.Response) -> str:
    assert answer.status_code == 201, answer.text
    image_id: str = answer.json()['id']
    return image_id


def test_what_nova_copies_onto_a_snapshot_is_dropped(cloud: Cloud) -> None:
    claims = dict.fromkeys(OURS, 'active')
    answer = nova(cloud).ask(
        'POST', '', json={'name': 'snapshot', 'os_distro': 'debian', **claims}
    )
    image_id = _created(answer)
    changes = [
        {'op': 'add', 'path': f'/{name}', 'value': 'active'} for name in OURS
    ]
    mixed = {'op': 'add', 'path': '/hw_disk_bus', 'value': 'scsi'}
    patched = nova(cloud).patch(image_id, *changes, mixed)
    assert patched.status_code == 200, patched.text
    only = nova(cloud).patch(image_id, *changes)
    assert only.status_code == 200, only.text

    shown = Caller(cloud).image(image_id)
    assert shown['os_distro'] == 'debian'
    assert shown['hw_disk_bus'] == 'scsi'
    assert not set(OURS) & set(shown)
    stored = _stored(cloud, image_id)
    assert not set(OURS) & stored, stored


def _stored(cloud: Cloud, image_id: str) -> set[str]:
    """Names of an image's properties in Glance's database."""
    with sqlite3.connect(cloud.directory / 'glance.db') as database:
        rows = database.execute(
            'SELECT name FROM image_properties WHERE image_id = ?'
            ' AND deleted = 0',
            (image_id,),
        )
        return {name for (name,) in rows}
