# SPDX-License-Identifier: Apache-2.0
"""People and services who talk to the Images API over plain HTTP."""

import json
from typing import Any

import requests

from tests.cloud import Cloud
from tests.waiting import DEADLINE

_PATCH = 'application/openstack-images-v2.1-json-patch'


class Caller:
    """Somebody with a token or two.

    :param user: whose token goes along
    :param service: whose service token goes along, if any
    :param headers: what he sends of his own accord
    """

    def __init__(
        self,
        cloud: Cloud,
        user: str = 'alice',
        service: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        keystone = cloud.keystone
        self.url = f'{cloud.catalog_url}/v2/images'
        self.headers = {
            **(headers or {}),
            'X-Auth-Token': str(keystone.session(user).get_token()),
        }
        if service:
            token = keystone.session(service).get_token()
            self.headers['X-Service-Token'] = str(token)

    def ask(
        self, method: str = 'GET', path: str = '', **kwargs: Any
    ) -> requests.Response:
        """Send a request to a path below /v2/images."""
        headers = {**self.headers, **kwargs.pop('headers', {})}
        return requests.request(
            method,
            f'{self.url}{path}',
            headers=headers,
            timeout=DEADLINE,
            **kwargs,
        )

    def get(self, path: str = '', **kwargs: Any) -> Any:
        """Get something that is there; returns its JSON."""
        answer = self.ask('GET', path, **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def image(self, image_id: str) -> dict[str, Any]:
        """One image."""
        found: dict[str, Any] = self.get(f'/{image_id}')
        return found

    def patch(self, image_id: str, *changes: Any) -> requests.Response:
        """Change an image by a JSON patch."""
        return self.ask(
            'PATCH',
            f'/{image_id}',
            data=json.dumps(changes),
            headers={'Content-Type': _PATCH},
        )


def nova(cloud: Cloud, user: str = 'alice') -> Caller:
    """Nova, acting for a user."""
    return Caller(cloud, user, 'nova')


def cinder_itself(cloud: Cloud) -> Caller:
    """Cinder, by its own token alone."""
    return Caller(cloud, 'cinder')
