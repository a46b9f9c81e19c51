# SPDX-License-Identifier: Apache-2.0
"""Images and their locations."""

import dataclasses
import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from glance.common import crypt
from glance.common import exception as glance_exception

from glance_rawstore import exceptions
from glance_rawstore.catalog.database import PAGE
from glance_rawstore.catalog.database import Database
from glance_rawstore.catalog.database import epoch
from glance_rawstore.catalog.database import write

LOG = logging.getLogger(__name__)

#: Told of an image that is not there.
NO_IMAGE = 'There is no such image.'
_IMPORT_LOCK = 'os_glance_import_task'
_IMPORTING_TO = 'os_glance_importing_to_stores'
#: Seconds after its task's last message that an import lock holds.
_LOCKED = 3600
_LOCKED_PENDING = 7200


@dataclasses.dataclass(frozen=True)
class Image:
    """What we need to know of an image. Sizes in bytes.

    :param updated_at: when somebody changed it last, in seconds since the
        epoch; what happens to a location does not count
    :param digest: Glance's hash of the original, or its MD5; empty if it has
        neither
    """

    image_id: str
    status: str
    disk_format: str | None
    container_format: str | None
    size: int
    virtual_size: int
    owner: str | None
    properties: dict[str, str]
    locations: tuple[dict[str, Any], ...]
    updated_at: float = 0.0
    digest: str = ''

    @property
    def content(self) -> str:
        """What tells the original from any other; empty if not known."""
        if not self.digest:
            return ''
        return f'{self.disk_format}/{self.size}/{self.digest}'

    @property
    def import_task(self) -> str | None:
        """Id of the task that holds Glance's import lock on the image."""
        return self.properties.get(_IMPORT_LOCK) or None

    @property
    def being_stored(self) -> bool:
        """Whether a store is still to get the data from an import."""
        return bool(self.properties.get(_IMPORTING_TO))


class Images(Database):
    """Images, and the locations of their copies."""

    @property
    def hashing_algorithm(self) -> str:
        """By which Glance hashes what it stores; name for hashlib."""
        return str(self._conf.hashing_algorithm)

    def image(self, image_id: str) -> Image | None:
        """Facts of an image, or None when it is gone."""
        try:
            found = dict(self._db.image_get(self._context, image_id))
        except glance_exception.NotFound:
            return None
        if found['deleted'] or found['status'] == 'deleted':
            return None
        return self._image(found)

    def existing(self, image_id: str) -> Image:
        """Facts of an image that must be there.

        :raises NotFound: it is gone
        """
        image = self.image(image_id)
        if image is None:
            raise exceptions.NotFound(NO_IMAGE)
        return image

    def _image(self, found: Mapping[str, Any]) -> Image:
        return Image(
            # As Glance has it: MySQL finds an id in any case.
            image_id=found['id'],
            status=found['status'],
            disk_format=found['disk_format'],
            container_format=found['container_format'],
            size=found['size'] or 0,
            virtual_size=found['virtual_size'] or 0,
            owner=found['owner'],
            properties=self._properties(found['properties']),
            locations=tuple(self._plain(row) for row in found['locations']),
            updated_at=epoch(found['updated_at']),
            digest=found['os_hash_value'] or found['checksum'] or '',
        )

    def _properties(self, rows: list[dict[str, Any]]) -> dict[str, str]:
        """The properties, without an import lock that Glance would break."""
        found = {p['name']: p['value'] for p in rows if not p['deleted']}
        if _IMPORT_LOCK in found and self._is_stale(found[_IMPORT_LOCK]):
            del found[_IMPORT_LOCK]
        return found

    def _is_stale(self, task_id: str) -> bool:
        """Whether a killed worker left the lock.

        As ``ImagesController._enforce_import_lock`` (glance/api/v2/images.py)
        judges before another import, in the same times.
        """
        try:
            task = self._db.task_get(self._context, task_id)
        except glance_exception.NotFound:
            return True
        limit = _LOCKED_PENDING if task['status'] == 'pending' else _LOCKED
        return time.time() - epoch(task['updated_at']) >= limit

    def all_images(self) -> Iterator[Image]:
        """Every image that is there, read in pages, oldest first."""
        page: list[dict[str, Any]] = []
        while page := self._page([found['id'] for found in page]):
            yield from map(self._image, page)

    def _page(self, before: list[str]) -> list[dict[str, Any]]:
        """The images after a page, given by their ids; none for the first."""
        # Where the last one was deleted meanwhile, start at one before it.
        for marker in [*reversed(before), None] if before else [None]:
            try:
                found: list[dict[str, Any]] = self._db.image_get_all(
                    self._context,
                    filters={'deleted': False, 'visibility': 'all'},
                    marker=marker,
                    limit=PAGE,
                    sort_key=['created_at'],
                    sort_dir=['asc'],
                )
            except glance_exception.NotFound:
                continue
            return found
        return []

    def known(self, image_id: str) -> bool:
        """Whether there is such an image, or was one (until it is purged)."""
        try:
            self._db.image_get(
                self._context, image_id, force_show_deleted=True
            )
        except glance_exception.NotFound:
            return False
        return True

    def _plain(self, row: dict[str, Any]) -> dict[str, Any]:
        key = self._conf.metadata_encryption_key
        url = crypt.urlsafe_decrypt(key, row['url']) if key else row['url']
        return {**row, 'url': url}

    def _stored(self, url: str) -> str:
        key = self._conf.metadata_encryption_key
        return str(crypt.urlsafe_encrypt(key, url)) if key else url

    def data(self, image_id: str) -> Iterable[bytes]:
        """The original's bytes, by Glance's own choice of location."""
        image = self._gateway.get_repo(self._context).get(image_id)
        chunks: Iterable[bytes] = image.get_data()
        return chunks

    def locations(self, image_id: str, url: str) -> list[dict[str, Any]]:
        """The image's rows with that URL, of a deleted image as well."""
        try:
            found = self._db.image_get(
                self._context, image_id, force_show_deleted=True
            )
        except glance_exception.NotFound:
            return []
        rows = [r for r in found['locations'] if r['status'] == 'active']
        return [row for row in map(self._plain, rows) if row['url'] == url]

    @write
    def put_location(
        self, image_id: str, url: str, metadata: dict[str, Any]
    ) -> None:
        """Make the row with that URL be there once, with that metadata.

        The row itself is "active" for Glance, which would drop any other on
        load; the copy's own status stands in the metadata.
        """
        row: dict[str, Any] = {
            'url': self._stored(url),
            'metadata': metadata,
            'status': 'active',
        }
        present = self.locations(image_id, url)
        for extra in present[1:]:
            self._remove(image_id, extra)
        if not present:
            self._db.image_location_add(self._context, image_id, row)
        elif present[0]['metadata'] != metadata:
            row['id'] = present[0]['id']
            self._db.image_location_update(self._context, image_id, row)
        if self.image(image_id) is None:
            # Deleted meanwhile: a row left on it would keep Glance from
            # ever purging the image's record.
            for row in self.locations(image_id, url):
                self._remove(image_id, row)

    @write
    def remove_location(self, image_id: str, url: str) -> None:
        """Remove the rows with that URL; accepts "already gone"."""
        for row in self.locations(image_id, url):
            self._remove(image_id, row)

    def _remove(self, image_id: str, row: dict[str, Any]) -> None:
        try:
            self._db.image_location_delete(
                self._context, image_id, row['id'], 'deleted'
            )
        except glance_exception.NotFound:
            LOG.debug('Location %s was gone already', row['id'])

    @write
    def set_property(self, image_id: str, name: str, value: str) -> None:
        """Set a property of an image, as its owner might.

        Nothing but that property is written, and ``updated_at``.

        :raises NotFound: the image is gone
        """
        try:
            self._db.image_update(
                self._context, image_id, {'properties': {name: value}}
            )
        except glance_exception.NotFound as exc:
            raise exceptions.NotFound(NO_IMAGE) from exc

    @write
    def unset_property(self, image_id: str, name: str) -> None:
        """Take a property off an image; accepts "already gone".

        :raises NotFound: the image is gone
        """
        image = self.existing(image_id)
        if name in image.properties:
            self._db.image_property_delete(self._context, name, image_id)
            self._db.image_update(self._context, image_id, {})
