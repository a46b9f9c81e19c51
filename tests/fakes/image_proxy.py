# SPDX-License-Identifier: Apache-2.0
"""openstacksdk's image proxy over images in memory.

It refuses what Glance refuses; tests/functional holds the client plugin to a
real one.
"""

import json
from collections.abc import Callable, Iterator
from typing import Any

import requests
from openstack import exceptions
from openstack.image.v2 import image as sdk_image

READ_ONLY = {'raw_cache_status', 'raw_cache_progress', 'raw_cache_size'}


def _answer(status: int, body: Any) -> requests.Response:
    answer = requests.Response()
    answer.status_code = status
    answer.headers['Content-Type'] = 'application/json'
    answer._content = json.dumps(body).encode()
    answer.url = 'http://glance/v2/images'
    answer.request = requests.Request('PATCH', answer.url).prepare()
    return answer


class ImageProxy:
    """The part of ``openstack.image.v2._proxy.Proxy`` that we call."""

    def __init__(self) -> None:
        self.bodies: dict[str, dict[str, Any]] = {}
        self.tasks: dict[str, list[dict[str, Any]]] = {}
        self.patched: list[str] = []
        #: Called before each look at one image, with its id.
        self.before_get: Callable[[str], None] = lambda _image_id: None

    def add(self, image_id: str, **attributes: Any) -> str:
        """Have an image, active and a qcow2 unless told otherwise."""
        self.bodies[image_id] = {
            'id': image_id,
            'name': f'name-of-{image_id}',
            'status': 'active',
            'disk_format': 'qcow2',
            **attributes,
        }
        return image_id

    def _image(self, image_id: str) -> sdk_image.Image:
        return sdk_image.Image.existing(**self.bodies[image_id])

    def find_image(
        self, name_or_id: str, ignore_missing: bool = True
    ) -> sdk_image.Image | None:
        """By name or id; fails for a name of several."""
        found = [
            image_id
            for image_id, body in self.bodies.items()
            if name_or_id in (image_id, body['name'])
        ]
        if len(found) > 1:
            raise exceptions.DuplicateResource(f'More than one: {name_or_id}')
        if not found and not ignore_missing:
            raise exceptions.NotFoundException(f'No Image for {name_or_id}')
        return self._image(found[0]) if found else None

    def images(self, **filters: str) -> Iterator[sdk_image.Image]:
        """All, or those of one visibility."""
        for image_id, body in list(self.bodies.items()):
            if filters.items() <= body.items():
                yield self._image(image_id)

    def get_image(self, image_id: str) -> sdk_image.Image:
        """One by its id."""
        self.before_get(image_id)
        if image_id not in self.bodies:
            raise exceptions.NotFoundException(f'No Image for {image_id}')
        return self._image(image_id)

    def patch(
        self, url: str, json: list[dict[str, str]], headers: dict[str, str]
    ) -> requests.Response:
        """Change properties, all or none."""
        content_type = 'application/openstack-images-v2.1-json-patch'
        if headers['Content-Type'] != content_type:
            return _answer(415, {})
        image_id = url.removeprefix('/images/')
        body = dict(self.bodies[image_id])
        for change in json:
            name = change['path'].removeprefix('/')
            if name in READ_ONLY:
                return _answer(403, {'message': f'{name} is read-only.'})
            if change['op'] == 'remove':
                if name not in body:
                    return _answer(409, {'message': f'no {name}'})
                del body[name]
            else:
                body[name] = change['value']
        self.bodies[image_id] = body
        self.patched.append(image_id)
        return _answer(200, body)

    def get(self, url: str) -> requests.Response:
        """The tasks of an image."""
        image_id = url.removeprefix('/images/').removesuffix('/tasks')
        if image_id not in self.tasks:
            return _answer(404, {})
        return _answer(200, {'tasks': self.tasks[image_id]})
