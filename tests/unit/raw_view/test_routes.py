# SPDX-License-Identifier: Apache-2.0
"""Which requests the raw view has a part in."""

import pytest

from glance_rawstore.raw_view import routes
from glance_rawstore.raw_view.routes import Kind

ID = '2b79f9a3-5f5c-4ba7-9a0c-1d7ce3ff9a10'


@pytest.mark.parametrize(
    ('method', 'path', 'expected'),
    [
        ('GET', '/v2/images', (Kind.LIST, '')),
        ('GET', '/v2/images/', (Kind.LIST, '')),
        ('POST', '/v2/images', (Kind.CREATE, '')),
        ('GET', f'/v2/images/{ID}', (Kind.IMAGE, ID)),
        ('GET', f'/v2/images/{ID}/', (Kind.IMAGE, ID)),
        ('PATCH', f'/v2/images/{ID}', (Kind.UPDATE, ID)),
        ('DELETE', f'/v2/images/{ID}', (Kind.DELETE, ID)),
        ('DELETE', f'/v2/stores/ceph/{ID}', (Kind.STORE_DELETE, ID)),
        ('GET', f'/v2/images/{ID}/locations', (Kind.LOCATIONS, ID)),
        ('GET', f'/v2/images/{ID}/file', (Kind.FILE, ID)),
        ('GET', f'/v2.15/images/{ID}/file', (Kind.FILE, ID)),
    ],
)
def test_our_requests_are_told_apart(method, path, expected):
    assert routes.classify(method, path) == expected


@pytest.mark.parametrize(
    ('method', 'path'),
    [
        ('GET', '/'),
        ('GET', ''),
        ('GET', '/v2'),
        ('GET', '/versions'),
        ('GET', '/v1/images'),
        ('GET', '/v3/images'),
        ('GET', '/v2/imagesx'),
        ('GET', '/v2/schemas/images'),
        ('GET', '/v2/tasks'),
        ('GET', '/healthcheck'),
        ('HEAD', f'/v2/images/{ID}'),
        ('HEAD', f'/v2/images/{ID}/file'),
        ('DELETE', '/v2/images'),
        ('GET', f'/v2/stores/ceph/{ID}'),
        ('DELETE', f'/v2/stores/{ID}'),
        ('PUT', f'/v2/images/{ID}/file'),
        ('PUT', f'/v2/images/{ID}/stage'),
        ('POST', f'/v2/images/{ID}/import'),
        ('POST', f'/v2/images/{ID}/locations'),
        ('POST', f'/v2/images/{ID}/actions/deactivate'),
        ('GET', f'/v2/images/{ID}/members'),
        ('GET', f'/v2/images/{ID}/members/x'),
        ('GET', f'/v2/images/{ID}/tasks'),
        ('GET', f'/v2/images/{ID}/file/x'),
        ('PATCH', '/v2/images'),
        ('get', '/v2/images'),
        # Words of ours, which are no parts of Glance's paths.
        ('GET', f'/v2/images/{ID}/image'),
        ('PATCH', f'/v2/images/{ID}/image'),
        ('GET', f'/v2/images/{ID}/list'),
        ('POST', f'/v2/images/{ID}/list'),
    ],
)
def test_other_requests_are_left_alone(method, path):
    assert routes.classify(method, path) is None


def test_a_store_is_named_by_the_path_of_its_images_alone():
    assert routes.store(f'/v2.15/stores/ceph/{ID}/') == 'ceph'
    assert routes.store(f'/v2/images/{ID}') == ''
