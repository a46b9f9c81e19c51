# SPDX-License-Identifier: Apache-2.0
"""What services and tenants are shown of one image, over HTTP."""

import json
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.cloud import Cloud
from tests.functional.support import Tenant

MIB = 1 << 20
OURS = ('raw_cache_status', 'raw_cache_progress', 'raw_cache_size')


class Caller:
    """Somebody who talks to the Images API over HTTP.

    :param user: whose token goes along
    :param service: whose service token goes along, if any
    """

    def __init__(
        self, cloud: Cloud, user: str = 'alice', service: str | None = None
    ) -> None:
        keystone = cloud.keystone
        self.url = f'{cloud.catalog_url}/v2/images'
        self.headers = {'X-Auth-Token': keystone.session(user).get_token()}
        if service:
            token = keystone.session(service).get_token()
            self.headers['X-Service-Token'] = token

    def ask(
        self, method: str = 'GET', path: str = '', **kwargs: Any
    ) -> requests.Response:
        headers = {**self.headers, **kwargs.pop('headers', {})}
        return requests.request(
            method,
            f'{self.url}{path}',
            headers=headers,
            timeout=60,
            **kwargs,
        )

    def get(self, path: str = '', **kwargs: Any) -> Any:
        answer = self.ask('GET', path, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def patch(self, image_id: str, *changes: Any) -> requests.Response:
        kind = 'application/openstack-images-v2.1-json-patch'
        return self.ask(
            'PATCH',
            f'/{image_id}',
            data=json.dumps(changes),
            headers={'Content-Type': kind},
        )


def nova(cloud: Cloud, user: str = 'alice') -> Caller:
    """Nova, acting for a tenant."""
    return Caller(cloud, user, 'nova')


@pytest.fixture
def copied(cloud: Cloud, small_image: Path) -> str:
    """An image with an active copy."""
    return Tenant(cloud).make_copy(small_image)


def test_a_service_is_shown_the_raw_copy(cloud, copied, small_image):
    shown = nova(cloud).get(f'/{copied}')

    url = f'rbd://{cloud.cluster.fsid}/{cloud.raw_pool}/{copied}_raw/snap'
    assert shown['disk_format'] == 'raw'
    assert shown['container_format'] == 'bare'
    assert shown['size'] == shown['virtual_size'] == 64 * MIB
    assert shown['direct_url'] == url
    assert [loc['url'] for loc in shown['locations']] == [url]
    assert shown['checksum'] is None
    assert shown['os_hash_value'] is None
    assert not set(OURS) & set(shown)
