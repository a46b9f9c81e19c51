# SPDX-License-Identifier: Apache-2.0
"""What services are shown of an image with a raw copy, and others not."""

import subprocess
import uuid
from pathlib import Path
from typing import Any

import pytest
import rbd

from glance_rawstore import ceph
from tests.cloud import Cloud
from tests.functional import holding
from tests.functional.callers import Caller
from tests.functional.callers import cinder_itself
from tests.functional.callers import nova
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true

MIB = 1 << 20
OURS = {'raw_cache_status', 'raw_cache_progress', 'raw_cache_size'}
FORGED = {
    'X-Service-Identity-Status': 'Confirmed',
    'X-Service-User-Name': 'nova',
    'X-Service-Roles': 'service',
    'X-Identity-Status': 'Confirmed',
    'X-User-Name': 'nova',
    'X-Roles': 'service,admin',
}


@pytest.fixture
def copied(cloud: Cloud, small_image: Path) -> str:
    """An image with an active copy."""
    return Tenant(cloud).make_copy(small_image)


def url(cloud: Cloud, image_id: str) -> str:
    """Where the copy of an image is."""
    pool = f'{cloud.cluster.fsid}/{cloud.raw_pool}'
    return f'rbd://{pool}/{image_id}_raw/snap'


def assert_raw(shown: dict[str, Any], where: str) -> None:
    """All of it is of the raw copy, and nothing of the original."""
    assert shown['disk_format'] == 'raw'
    assert shown['container_format'] == 'bare'
    assert shown['size'] == shown['virtual_size'] == 64 * MIB
    assert shown['direct_url'] == where
    assert [loc['url'] for loc in shown['locations']] == [where]
    for name in ('checksum', 'os_hash_algo', 'os_hash_value'):
        assert shown[name] is None
    assert not OURS & set(shown)


def assert_original(shown: dict[str, Any], path: Path) -> None:
    """All of it is of the original, which no service can clone."""
    assert shown['disk_format'] == 'qcow2'
    assert shown['size'] == path.stat().st_size
    assert shown['os_hash_value']
    assert 'direct_url' not in shown
    assert not OURS & set(shown)


def test_nova_is_shown_the_raw_copy_of_a_tenants_image(
    cloud: Cloud, copied: str
) -> None:
    assert_raw(nova(cloud).image(copied), url(cloud, copied))


def test_cinder_is_shown_its_location_by_its_own_token(
    cloud: Cloud, copied: str
) -> None:
    Caller(cloud, 'admin').patch(
        copied, {'op': 'replace', 'path': '/visibility', 'value': 'public'}
    )
    locations = cinder_itself(cloud).get(f'/{copied}/locations')
    assert [loc['url'] for loc in locations] == [url(cloud, copied)]
    assert locations[0]['metadata']['status'] == 'active'
    assert locations[0]['metadata']['store'] == 'raw'


#: Who is no named service: the user, the service that comes with him, and
#: headers that he sends himself.
STRANGERS: dict[str, tuple[str, str | None, dict[str, str]]] = {
    'a tenant': ('alice', None, {}),
    'a tenant who forges headers': ('alice', None, FORGED),
    'an admin': ('admin', None, {}),
    'an admin who forges headers': ('admin', None, FORGED),
    'a service that is not named': ('alice', 'glance', {}),
    'a service token without the role': ('alice', 'bob', {}),
}


@pytest.mark.parametrize('who', STRANGERS)
def test_who_is_no_named_service_sees_the_original(
    cloud: Cloud, copied: str, small_image: Path, who: str
) -> None:
    stranger = Caller(cloud, *STRANGERS[who])
    shown = stranger.image(copied)
    assert shown['disk_format'] == 'qcow2'
    assert shown['size'] == small_image.stat().st_size
    assert shown['os_hash_value']
    assert [i for i in stranger.get()['images'] if i['id'] == copied] == [
        shown
    ]
    file = stranger.ask('GET', f'/{copied}/file')
    assert file.content == small_image.read_bytes()


def test_a_service_by_its_own_token_needs_no_service_token(
    cloud: Cloud, copied: str
) -> None:
    shown = Caller(cloud, 'nova').image(copied)

    assert_raw(shown, url(cloud, copied))


def test_nobody_else_sees_a_location_where_glance_shows_none(
    discreet_cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(discreet_cloud)
    image_id = tenant.make_copy(small_image)

    for who in STRANGERS.values():
        stranger = Caller(discreet_cloud, *who)
        for shown in (stranger.image(image_id), *stranger.get()['images']):
            assert not {'locations', 'direct_url'} & set(shown)
        answer = stranger.ask('GET', f'/{image_id}/locations')
        # An admin may ask for all of them, by Glance's own policy.
        assert answer.status_code == (200 if who[0] == 'admin' else 403)
    assert_raw(
        nova(discreet_cloud).image(image_id), url(discreet_cloud, image_id)
    )


def test_another_tenants_image_stays_hidden_from_a_service_acting_for_bob(
    cloud: Cloud, copied: str
) -> None:
    bob = nova(cloud, 'bob')
    for path in ('', '/locations', '/file'):
        assert bob.ask('GET', f'/{copied}{path}').status_code == 404


def test_a_pending_copy_is_not_shown(cloud: Cloud, big_image: Path) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        tenant.await_active(image_id)
        assert_original(nova(cloud).image(image_id), big_image)
        admin = nova(cloud, 'admin')
        assert admin.get(f'/{image_id}/locations') == []
    tenant.await_copy_task(image_id)
    assert nova(cloud).image(image_id)['disk_format'] == 'raw'


def test_a_copy_that_is_deleted_is_not_shown(
    cloud: Cloud, copied: str, small_image: Path
) -> None:
    cloud.client('admin').images.delete_from_store('raw', copied)

    assert_original(nova(cloud).image(copied), small_image)
    assert nova(cloud, 'admin').get(f'/{copied}/locations') == []


def test_a_copy_that_does_not_open_is_not_shown(
    cloud: Cloud, copied: str, small_image: Path, pool: Pool
) -> None:
    service = nova(cloud)
    assert_raw(service.image(copied), url(cloud, copied))
    with (
        ceph.connect(pool.settings) as (_client, ioctx),
        rbd.Image(ioctx, f'{copied}_raw', read_only=True) as image,
    ):
        ioctx.remove_object(f'rbd_header.{image.id()}')

    assert_original(service.image(copied), small_image)


def test_a_copy_that_somebody_named_like_ours_elsewhere_is_not_shown(
    cloud: Cloud, small_image: Path
) -> None:
    """Only the raw pool counts, and there only the image's own name."""
    image_id = Tenant(cloud).import_file(small_image)
    stranger = str(uuid.uuid4())
    for pool, name in (
        (cloud.images_pool, f'{image_id}_raw'),
        (cloud.raw_pool, f'{stranger}_raw'),
    ):
        settings = ceph.Settings(str(cloud.cluster.conf), 'admin', pool)
        with ceph.connect(settings) as (_client, ioctx):
            rbd.RBD().create(ioctx, name, 64 * MIB)

    assert_original(nova(cloud).image(image_id), small_image)


def test_a_deactivated_image_is_shown_as_the_original(
    cloud: Cloud, copied: str, small_image: Path
) -> None:
    cloud.client('admin').images.deactivate(copied)

    assert_original(nova(cloud).image(copied), small_image)
    assert nova(cloud).ask('GET', f'/{copied}/file').status_code == 403
    # An admin may still download it, and gets what he is shown.
    file = nova(cloud, 'admin').ask('GET', f'/{copied}/file')
    assert file.content == small_image.read_bytes()


def test_a_hidden_image_is_listed_only_when_asked_for(
    cloud: Cloud, copied: str
) -> None:
    Tenant(cloud).images.update(copied, os_hidden=True)
    service = nova(cloud)

    assert service.get('?disk_format=raw')['images'] == []
    hidden = service.get('?disk_format=raw&os_hidden=true')['images']
    assert [image['id'] for image in hidden] == [copied]


def test_lists_show_the_same_and_filter_by_what_they_show(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    copies = [tenant.make_copy(small_image) for _ in range(3)]
    plain = [tenant.import_file(small_image) for _ in range(2)]
    service = nova(cloud)

    everything = {i['id']: i for i in service.get()['images']}
    assert everything.keys() == {*copies, *plain}
    for image_id in everything:
        assert everything[image_id] == service.image(image_id)
    assert _walk(service, 'disk_format=raw&limit=2') == copies[::-1]
    assert _walk(service, 'disk_format=qcow2&limit=1') == plain[::-1]
    assert _walk(service, f'size_min={64 * MIB}&limit=2') == copies[::-1]
    tenants = Caller(cloud)
    assert _walk(tenants, 'disk_format=raw') == []
    assert len(_walk(tenants, 'disk_format=qcow2&limit=2')) == 5
    assert service.ask('GET', '?disk_format=raw&limit=x').status_code == 400


def _walk(caller: Caller, query: str) -> list[str]:
    """Ids of all images on all pages."""
    found: list[str] = []
    page = caller.get(f'?{query}')
    while True:
        found += [image['id'] for image in page['images']]
        if 'next' not in page:
            return found
        page = caller.get(page['next'].removeprefix('/v2/images'))


def test_a_service_downloads_the_raw_bytes_and_nothing_is_cached(
    discreet_cloud: Cloud, small_image: Path, tmp_path: Path
) -> None:
    cloud = discreet_cloud
    image_id = Tenant(cloud).make_copy(small_image)
    guest = tmp_path / 'guest.raw'
    convert = ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw']
    subprocess.run([*convert, small_image, guest], check=True)

    service = nova(cloud)
    service.image(image_id)
    answer = service.ask('GET', f'/{image_id}/file')
    assert answer.status_code == 200
    assert answer.content == guest.read_bytes()
    assert answer.headers['Content-Length'] == str(64 * MIB)
    assert 'Content-MD5' not in answer.headers
    cache = cloud.directory / 'cache'
    assert not list(cache.glob(f'**/{image_id}'))
    # What a tenant downloads is cached, and a service still gets raw bytes.
    assert (
        Caller(cloud).ask('GET', f'/{image_id}/file').content
        == small_image.read_bytes()
    )
    await_true(lambda: list(cache.glob(f'**/{image_id}')), 'it is cached')
    again = service.ask('GET', f'/{image_id}/file')
    assert again.content == guest.read_bytes()
    assert (
        Caller(cloud).ask('GET', f'/{image_id}/file').content
        == small_image.read_bytes()
    )


@pytest.mark.parametrize(
    ('wanted', 'start', 'stop'),
    [
        ('bytes=0-99', 0, 100),
        # beyond the end of the original
        (f'bytes={32 * MIB}-{32 * MIB + 4095}', 32 * MIB, 32 * MIB + 4096),
        ('bytes=-10', 64 * MIB - 10, 64 * MIB),
        (f'bytes={64 * MIB - 5}-', 64 * MIB - 5, 64 * MIB),
    ],
)
def test_a_range_is_one_of_the_raw_bytes(
    cloud: Cloud,
    copied: str,
    small_image: Path,
    wanted: str,
    start: int,
    stop: int,
) -> None:
    guest = small_image.with_name('guest.raw').read_bytes()

    service = nova(cloud)
    service.image(copied)

    answer = service.ask('GET', f'/{copied}/file', headers={'Range': wanted})
    assert answer.status_code == 206
    assert answer.content == guest[start:stop]
    expected = f'bytes {start}-{stop - 1}/{64 * MIB}'
    assert answer.headers['Content-Range'] == expected


def test_a_range_beyond_the_raw_bytes_is_refused(
    cloud: Cloud, copied: str
) -> None:
    beyond = {'Range': f'bytes={64 * MIB}-'}

    answer = nova(cloud).ask('GET', f'/{copied}/file', headers=beyond)
    assert answer.status_code == 416
