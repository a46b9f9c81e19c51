# SPDX-License-Identifier: Apache-2.0
"""Glance's side of a copy, in memory, with the rules that Glance has.

As ``glance_rawstore.catalog.Catalog``; what it does to a real Glance is
tested in tests/functional.
"""

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore.catalog import CopyTask
from glance_rawstore.catalog import Image
from glance_rawstore.catalog import Requester
from glance_rawstore.lifecycle.events import Event


@dataclasses.dataclass
class Task:
    """A task of Glance's; messages are all that it ever had."""

    status: str
    messages: list[str]
    requester: Requester
    result: dict[str, Any] | None = None
    image_id: str = ''
    created: float = 0.0
    updated: float = 0.0

    @property
    def message(self) -> str:
        return self.messages[-1]


#: The moves that Glance allows (glance.domain.Task).
_MOVES = {
    ('pending', 'processing'),
    ('processing', 'success'),
    ('processing', 'failure'),
    ('pending', 'failure'),
}


class FakeCatalog:
    """Images, their data and locations, and tasks.

    :ivar bytes: the originals' data, by image
    :ivar tasks: by their id, in the order of their creation
    :ivar told: of what was notified, and what was said
    :ivar looked: called at each look at an image; may change things
    """

    hashing_algorithm = 'sha512'

    def __init__(self) -> None:
        self.images: dict[str, Image] = {}
        self.bytes: dict[str, bytes] = {}
        self.tasks: dict[str, Task] = {}
        self.deleted: set[str] = set()
        self.told: list[tuple[Event, dict[str, Any]]] = []
        self.looked: Callable[[], None] = lambda: None
        self._numbers = itertools.count(1)

    def add(self, image_id: str, data: bytes, **facts: Any) -> None:
        """Add an active qcow2 that wants a copy."""
        usual: dict[str, Any] = {
            'status': 'active',
            'disk_format': 'qcow2',
            'container_format': 'bare',
            'size': len(data),
            'virtual_size': 0,
            'owner': 'owner',
            'properties': {'raw_cache': 'true'},
            'locations': (self.row(f'file:///data/{image_id}', 'disk'),),
        }
        self.images[image_id] = Image(image_id, **{**usual, **facts})
        self.bytes[image_id] = data

    def row(self, url: str, store: str) -> dict[str, Any]:
        number = next(self._numbers)
        return {
            'id': number,
            'url': url,
            'metadata': {'store': store},
            'status': 'active',
        }

    def change(self, image_id: str, **facts: Any) -> None:
        found = self.images[image_id]
        self.images[image_id] = dataclasses.replace(found, **facts)

    # As the real one

    def image(self, image_id: str) -> Image | None:
        self.looked()
        return self.images.get(image_id)

    def existing(self, image_id: str) -> Image:
        image = self.image(image_id)
        if image is None:
            raise exceptions.NotFound('There is no such image.')
        return image

    def data(self, image_id: str) -> Iterable[bytes]:
        data = self.bytes[image_id]
        yield from (data[i : i + 1000] for i in range(0, len(data), 1000))

    def locations(self, image_id: str, url: str) -> list[dict[str, Any]]:
        image = self.images.get(image_id)
        rows = image.locations if image else ()
        return [row for row in rows if row['url'] == url]

    def put_location(
        self, image_id: str, url: str, metadata: dict[str, Any]
    ) -> None:
        if image_id not in self.images:
            return
        others = [
            row for row in self.images[image_id].locations if row['url'] != url
        ]
        row = {**self.row(url, ''), 'metadata': metadata}
        self.change(image_id, locations=(*others, row))

    def remove_location(self, image_id: str, url: str) -> None:
        if image_id in self.images:
            rows = self.images[image_id].locations
            kept = tuple(row for row in rows if row['url'] != url)
            self.change(image_id, locations=kept)

    def set_property(self, image_id: str, name: str, value: str) -> None:
        if image_id not in self.images:
            raise exceptions.NotFound('There is no such image.')
        properties = {**self.images[image_id].properties, name: value}
        self.change(image_id, properties=properties, updated_at=time.time())

    def unset_property(self, image_id: str, name: str) -> None:
        if image_id not in self.images:
            raise exceptions.NotFound('There is no such image.')
        properties = dict(self.images[image_id].properties)
        if properties.pop(name, None) is not None:
            self.change(
                image_id, properties=properties, updated_at=time.time()
            )

    def tell(
        self,
        event: Event,
        image_id: str,
        store: str,
        request_id: str | None = None,
        **facts: Any,
    ) -> None:
        said = {'image_id': image_id, 'store': store, 'request': request_id}
        self.told.append((event, {**said, **facts}))

    def all_images(self) -> Iterator[Image]:
        yield from list(self.images.values())

    def known(self, image_id: str) -> bool:
        return image_id in self.images or image_id in self.deleted

    def delete(self, image_id: str) -> None:
        """As a tenant does."""
        del self.images[image_id]
        self.deleted.add(image_id)

    def _copy_task(self, task_id: str) -> CopyTask:
        task = self.tasks[task_id]
        return CopyTask(
            task_id,
            task.image_id,
            task.status,
            task.message,
            task.created,
            task.updated,
            getattr(task.requester, 'request_id', None),
        )

    def open_tasks(self) -> list[CopyTask]:
        found = [self._copy_task(task_id) for task_id in self.tasks]
        return [t for t in found if t.status in ('pending', 'processing')]

    def recent_tasks(self, since: float, limit: int | None) -> list[CopyTask]:
        found = [self._copy_task(task_id) for task_id in self.tasks]
        mine = [task for task in found if task.updated >= since]
        return sorted(mine, key=lambda task: -task.updated)[:limit]

    def copy_tasks(self, image_id: str) -> list[CopyTask]:
        found = [self._copy_task(task_id) for task_id in self.tasks]
        mine = [task for task in found if task.image_id == image_id]
        return sorted(mine, key=lambda task: -task.created)

    def create_task(
        self, image: Image, store: str, requester: Requester, message: str
    ) -> str:
        task_id = f'task-{next(self._numbers)}'
        now = time.time()
        self.tasks[task_id] = Task(
            'pending',
            [message],
            requester,
            image_id=image.image_id if image else '',
            created=now,
            updated=now,
        )
        return task_id

    def _move(self, task_id: str, status: str, message: str) -> bool:
        task = self.tasks[task_id]
        if (task.status, status) not in _MOVES:
            return False
        task.status = status
        task.messages.append(message)
        task.updated = time.time()
        return True

    def begin_task(self, task_id: str, message: str) -> None:
        if self.tasks[task_id].status == 'processing':
            self.report(task_id, message)
        else:
            self._move(task_id, 'processing', message)

    def report(self, task_id: str, message: str) -> None:
        if self.tasks[task_id].status in ('pending', 'processing'):
            self.tasks[task_id].messages.append(message)

    def succeed_task(
        self, task_id: str, result: dict[str, Any], message: str
    ) -> None:
        if self.tasks[task_id].status == 'pending':
            self._move(task_id, 'processing', message)
        if self._move(task_id, 'success', message):
            self.tasks[task_id].result = result

    def fail_task(self, task_id: str, message: str) -> None:
        self._move(task_id, 'failure', message)
