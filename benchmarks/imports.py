# SPDX-License-Identifier: Apache-2.0
"""One import through Glance's API, seen by a client that keeps looking.

A look costs Glance about 15 ms of a core. A client that looked every 50 ms
would take a third of a core from what it times, so this one looks as soon as
Glance's database has changed: sooner, and ten times less often.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.images import Image
from tests.cloud import Cloud
from tests.cloud import imaging
from tests.processes import ProcessError

TENANT = 'alice'

# in seconds, between looks at the database
PERIOD = 0.005
# in seconds, after which the API is asked though nothing has changed
PATIENCE = 1.0
# in seconds, from one look for a failure to the next
DOUBT = 10.0
TIMEOUT = 900.0

# Of SQLite's "file change counter", which grows with each transaction that
# wrote something: offset and length in bytes (sqlite.org/fileformat2.html).
COUNTER = (24, 4)


@dataclasses.dataclass
class Times:
    """When it was first seen, in seconds from the import call.

    :ivar started: when that was, by the monotonic clock
    :ivar active: the image active
    :ivar raw: the raw copy active too; None if none was asked for
    :ivar looks: how often the API was asked
    """

    started: float
    active: float = 0.0
    raw: float | None = None
    looks: int = 0


class Import:
    """An image that is staged, and not yet imported.

    :ivar image_id: in Glance
    """

    def __init__(
        self, cloud: Cloud, image: Image, raw: bool, user: str = TENANT
    ) -> None:
        """Make the image and put its data into the staging area.

        :param raw: ask for a raw copy
        :param user: who does so
        """
        self._cloud = cloud
        self._raw = raw
        self._database = cloud.directory / 'glance.db'
        self._session = cloud.keystone.session(user)
        self._client = cloud.client(user)
        wish = {'raw_cache': 'true'} if raw else {}
        self.image_id = imaging.create(self._client, name=image.name, **wish)
        with image.path.open('rb') as data:
            self._client.images.stage(self.image_id, data)
        # Else the kernel would begin to write it to disk at some time later.
        os.sync()
        self.look()  # fetches the token

    @property
    def _url(self) -> str:
        return f'{self._cloud.catalog_url}/v2/images/{self.image_id}'

    def look(self) -> dict[str, Any]:
        """Return the image as the API shows it now."""
        found: dict[str, Any] = self._session.get(self._url).json()
        return found

    def start(self) -> None:
        """Import it, and wait for nothing."""
        order = {'method': {'name': 'glance-direct'}}
        self._session.post(f'{self._url}/import', json=order)

    def run(self) -> Times:
        """Import it; return once all that was asked for is there.

        :raises ProcessError: with the tasks, if it fails or takes too long
        """
        start = time.monotonic()
        times = Times(start)
        self.start()
        for image in self._looks(start):
            now = time.monotonic()
            times.looks += 1
            if not times.active and image['status'] == 'active':
                times.active = now - start
            if times.active and self._raw and _has_raw_copy(image):
                times.raw = now - start
            if times.active and (times.raw or not self._raw):
                break
        return times

    def _looks(self, start: float) -> Iterator[dict[str, Any]]:
        doubt = start + DOUBT
        while True:
            seen = self._changes()
            yield self.look()
            if time.monotonic() > doubt:
                self._check(time.monotonic() - start)
                doubt = time.monotonic() + DOUBT
            patience = time.monotonic() + PATIENCE
            while self._changes() == seen and time.monotonic() < patience:
                time.sleep(PERIOD)

    def _changes(self) -> bytes:
        """Return what differs once Glance's database has changed."""
        offset, length = COUNTER
        with self._database.open('rb') as database:
            database.seek(offset)
            return database.read(length)

    def _check(self, elapsed: float) -> None:
        tasks = self.tasks()
        failed = any(task['status'] == 'failure' for task in tasks)
        if failed or elapsed > TIMEOUT:
            raise ProcessError(f'image {self.image_id} is not done: {tasks}')

    def tasks(self) -> list[dict[str, Any]]:
        """Return the image's tasks."""
        found: list[dict[str, Any]] = (
            self._client.images.get_associated_image_tasks(self.image_id)
        )['tasks']
        return found

    def delete(self) -> None:
        """Delete the image."""
        self._client.images.delete(self.image_id)


def _has_raw_copy(image: dict[str, Any]) -> bool:
    return any(
        location['metadata'].get('format') == 'raw'
        and location['metadata'].get('status') == 'active'
        for location in image.get('locations', [])
    )


@contextlib.contextmanager
def staged(
    cloud: Cloud, image: Image, raw: bool = False, user: str = TENANT
) -> Iterator[Import]:
    """Stage an image for import; delete it when the context ends."""
    job = Import(cloud, image, raw, user)
    try:
        yield job
    finally:
        job.delete()
