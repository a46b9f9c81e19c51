# SPDX-License-Identifier: Apache-2.0
"""What is shown of an image always matches the bits that it leads to."""

import pytest

from glance_rawstore import formats
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view.representation import READ_ONLY
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.representation import Wish

ID = '2b79f9a3-5f5c-4ba7-9a0c-1d7ce3ff9a10'
OTHER = '77777777-5f5c-4ba7-9a0c-1d7ce3ff9a10'
FSID, POOL, NODE = 'f51d', 'images_raw', 'compute-1'
SIZE = 64 << 20
ORIGINAL = f'rbd://{FSID}/images/{ID}/snap'


def url(image_id=ID, fsid=FSID, pool=POOL):
    return raw_copy.url(fsid, pool, image_id)


def copy(store='raw', pool=POOL, status=Status.ACTIVE, size=SIZE, **more):
    return Copy(store, url(pool=pool), status, size, **more)


def image(**more):
    """An image as Glance shows it."""
    return {
        'id': ID,
        'name': 'guest',
        'status': 'active',
        'disk_format': 'qcow2',
        'container_format': 'bare',
        'size': 1000,
        'virtual_size': SIZE,
        'checksum': 'c',
        'os_hash_algo': 'sha512',
        'os_hash_value': 'h',
        'direct_url': ORIGINAL,
        'locations': [{'url': ORIGINAL, 'metadata': {'store': 'ceph'}}],
        'hw_disk_bus': 'virtio',
        **more,
    }


def for_service(found, *copies):
    return representation.for_service(found, copies, NODE)


def test_a_raw_copy_is_shown_whole():
    shown = for_service(
        image(img_signature='s', img_signature_hash_method='SHA-256'), copy()
    )

    assert shown == {
        'id': ID,
        'name': 'guest',
        'status': 'active',
        'disk_format': 'raw',
        'container_format': 'bare',
        'size': SIZE,
        'virtual_size': SIZE,
        'checksum': None,
        'os_hash_algo': None,
        'os_hash_value': None,
        'direct_url': url(),
        'locations': [copy().location],
        'hw_disk_bus': 'virtio',
    }


def test_locations_are_shown_although_glance_shows_none():
    """Which needs no setting in Glance."""
    found = image()
    del found['direct_url'], found['locations']

    shown = for_service(found, copy())

    assert shown['direct_url'] == url()
    assert shown['locations'] == [copy().location]


def test_the_heaviest_copy_for_this_node_comes_first():
    light = copy('a', 'pool_a', weight=1)
    heavy = copy('b', 'pool_b', weight=5)
    here = copy('c', 'pool_c', weight=0, node_weights={NODE: 9})
    elsewhere = copy('d', 'pool_d', weight=2, node_weights={'compute-2': 99})

    shown = for_service(image(), light, heavy, here, elsewhere)

    stores = [loc['metadata']['store'] for loc in shown['locations']]
    assert stores == ['c', 'b', 'd', 'a']
    assert shown['direct_url'] == here.url


@pytest.mark.parametrize('status', [s for s in Status if s != 'active'])
def test_a_copy_that_is_not_active_is_not_shown(status):
    assert for_service(image(), copy(status=status))['disk_format'] == 'qcow2'


@pytest.mark.parametrize(
    'status', ['queued', 'saving', 'importing', 'deactivated', None]
)
def test_an_image_that_is_not_active_is_its_original(status):
    shown = for_service(image(status=status), copy())

    assert (shown['disk_format'], shown['size']) == ('qcow2', 1000)


def test_copies_that_differ_in_size_are_not_shown():
    """One of them at least is not the guest's disk."""
    shown = for_service(image(), copy(), copy('b', 'pool_b', size=SIZE + 1))

    assert shown['disk_format'] == 'qcow2'


@pytest.mark.parametrize('disk_format', sorted(formats.ALREADY_RAW))
def test_a_raw_original_is_shown_as_it_is(disk_format):
    """Such as Nova's direct snapshots, in the raw pool even."""
    place = f'rbd://{FSID}/{POOL}/{OTHER}/snap'
    found = image(
        disk_format=disk_format,
        direct_url=place,
        locations=[{'url': place, 'metadata': {'store': 'raw'}}],
    )

    assert for_service(found, copy()) == found
    assert (
        representation.locations_for_service(
            'active', disk_format, found['locations'], [copy()], NODE
        )
        == found['locations']
    )


def test_an_original_that_is_not_raw_has_nothing_that_cinder_clones():
    shown = for_service(image())

    assert 'direct_url' not in shown
    assert shown['locations'] == image()['locations'], 'for Nova to look at'
    assert (
        representation.locations_for_service(
            'active', 'qcow2', image()['locations'], [], NODE
        )
        == []
    )


def test_nova_finds_the_original_also_where_only_its_url_is_shown():
    found = image()
    del found['locations']

    shown = for_service(found)

    assert shown['locations'] == [{'url': ORIGINAL, 'metadata': {}}]
    assert 'direct_url' not in shown


@pytest.mark.parametrize('name', ['_raw', '_raw.part', '%5Fraw'])
def test_a_raw_image_cannot_borrow_another_images_copy(name):
    stolen = f'rbd://{FSID}/images_raw/{OTHER}{name}/snap'
    own = {'url': ORIGINAL, 'metadata': {}}
    borrowed = {'url': stolen, 'metadata': {'store': 'raw'}}
    found = image(
        disk_format='raw', direct_url=stolen, locations=[borrowed, own]
    )

    shown = for_service(found)

    assert shown['locations'] == [own]
    assert 'direct_url' not in shown
    listed = representation.locations_for_service(
        'active', 'raw', [borrowed, own], [], NODE
    )
    assert listed == [own]


@pytest.mark.parametrize(
    ('copies', 'wish', 'expected'),
    [
        ([], Wish.NONE, {}),
        ([], Wish.FAILED, {'status': 'error'}),
        ([], Wish.STANDS, {'status': 'pending', 'progress': '0'}),
        (
            [copy(status=Status.PENDING, progress=42)],
            Wish.STANDS,
            {'status': 'pending', 'progress': '42'},
        ),
        (
            [copy(status=Status.PENDING)],
            Wish.STANDS,
            {'status': 'pending', 'progress': '0'},
        ),
        (
            [copy(bytes_used=7)],
            Wish.STANDS,
            {'status': 'active', 'progress': '100', 'size': '7'},
        ),
        ([copy()], Wish.FAILED, {'status': 'active', 'progress': '100'}),
        (
            [copy(status=Status.PENDING_DELETE, bytes_used=7)],
            Wish.STANDS,
            {'status': 'pending_delete', 'size': '7'},
        ),
        (
            [
                copy('b', status=Status.PENDING_DELETE),
                copy('c', status=Status.PENDING, progress=5),
            ],
            Wish.STANDS,
            {'status': 'pending', 'progress': '5'},
        ),
        (
            [copy('c', status=Status.PENDING, progress=5), copy(bytes_used=0)],
            Wish.STANDS,
            {'status': 'active', 'progress': '100', 'size': '0'},
        ),
    ],
)
def test_tenants_see_how_far_their_copy_is(copies, wish, expected):
    shown = representation.for_tenant(image(), copies, wish)

    values = {f'raw_cache_{key}': value for key, value in expected.items()}
    assert shown == {**image(), **values}


def test_our_names_are_those_of_the_manual():
    assert {
        'raw_cache_status',
        'raw_cache_progress',
        'raw_cache_size',
    } == READ_ONLY
