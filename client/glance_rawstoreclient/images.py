# SPDX-License-Identifier: Apache-2.0
"""The Images API, by way of openstacksdk."""

from collections.abc import Iterator, Mapping
from typing import Any

from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions

from glance_rawstoreclient import copies

#: The form of changes that every Glance since 2013 takes.
_PATCH = 'application/openstack-images-v2.1-json-patch'

#: What may pass by itself: no connection, or a server in trouble.
_PASSING = (
    auth_exceptions.ConnectFailure,
    auth_exceptions.RetriableConnectionFailure,
    exceptions.HttpException,
)


def may_pass(error: Exception) -> bool:
    """Whether it is worth while to ask once more."""
    if isinstance(error, exceptions.HttpException):
        return error.status_code is not None and error.status_code >= 500
    return isinstance(error, _PASSING)


class Images:
    """Images and their raw copies.

    :param proxy: the image proxy of an openstacksdk connection
    """

    def __init__(self, proxy: Any) -> None:
        self._proxy = proxy

    def find(self, name_or_id: str) -> Any:
        """The image of that name or id.

        :raises openstack.exceptions.SDKException: there is none, or several
        """
        return self._proxy.find_image(name_or_id, ignore_missing=False)

    def all(self, **filters: str) -> Iterator[copies.Copy]:
        """The copies of all images that are visible, asked for or there."""
        for image in self._proxy.images(**filters):
            copy = copies.of(image)
            if copy.status is not None or copy.wished:
                yield copy

    def copy(self, image_id: str) -> copies.Copy:
        """The copy of an image as it is now.

        :raises openstack.exceptions.SDKException: the image is gone, or the
            API does not answer
        """
        return copies.of(self._proxy.get_image(image_id))

    def change(
        self,
        image: Any,
        put: Mapping[str, str],
        removed: frozenset[str] = frozenset(),
    ) -> None:
        """Set and remove properties of an image.

        :raises openstack.exceptions.SDKException: it is not allowed
        """
        patch = copies.changes(image.properties or {}, put, removed)
        if not patch:
            return
        answer = self._proxy.patch(
            f'/images/{image.id}',
            json=patch,
            headers={'Content-Type': _PATCH},
        )
        exceptions.raise_from_response(answer)

    def message(self, image_id: str) -> str | None:
        """What the newest conversion of the image said last, if it is known.

        Tasks are forgotten after a while, and older Glances list none.
        """
        answer = self._proxy.get(f'/images/{image_id}/tasks')
        if answer.status_code != 200:
            return None
        return copies.last_message(answer.json().get('tasks') or [])
