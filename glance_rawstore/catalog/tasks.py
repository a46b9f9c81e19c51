# SPDX-License-Identifier: Apache-2.0
"""The tasks by which a tenant follows a copy."""

import dataclasses
import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from glance.common import exception as glance_exception

from glance_rawstore.catalog.database import PAGE
from glance_rawstore.catalog.database import Database
from glance_rawstore.catalog.database import epoch
from glance_rawstore.catalog.database import write
from glance_rawstore.catalog.images import Image

LOG = logging.getLogger(__name__)

_TASK_TYPE = 'api_image_import'
#: What tells our tasks from imports.
_METHOD = 'raw-cache'
#: Statuses of a task that has not ended.
_OPEN = ('pending', 'processing')


@dataclasses.dataclass(frozen=True)
class CopyTask:
    """A task that is about a raw copy. Times in seconds since the epoch.

    :param updated: when its worker was heard of last
    :param request_id: of the request that led to it, by which log lines name
        it as well
    """

    task_id: str
    image_id: str
    status: str
    message: str
    created: float
    updated: float
    request_id: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it has not ended."""
        return self.status in _OPEN


@dataclasses.dataclass(frozen=True)
class Requester:
    """Who asked for the import, to be named on the task."""

    user_id: str | None
    request_id: str | None


def _is_of_copy(task: Mapping[str, Any]) -> bool:
    """Whether a task is one of ours; a tenant's may hold anything."""
    found: Any = task.get('input')
    for key in ('import_req', 'method', 'name'):
        found = found.get(key) if isinstance(found, Mapping) else None
    return bool(found == _METHOD)


def _copy_task(task: Mapping[str, Any]) -> CopyTask:
    return CopyTask(
        task_id=task['id'],
        image_id=task['image_id'] or '',
        status=task['status'],
        message=task['message'] or '',
        created=epoch(task['created_at']),
        updated=epoch(task['updated_at']),
        request_id=task['request_id'],
    )


def _created(task: CopyTask) -> float:
    return task.created


class Tasks(Database):
    """The tasks about raw copies."""

    def open_tasks(self) -> list[CopyTask]:
        """The tasks about raw copies that have not ended."""
        found = []
        for status in _OPEN:
            for task in self._open(status):
                full = self._db.task_get(self._context, task['id'])
                if _is_of_copy(full):
                    found.append(_copy_task(full))
        return found

    def _open(self, status: str) -> Iterator[dict[str, Any]]:
        return self._pages({'status': status}, 'created_at', 'asc')

    def _pages(
        self, filters: dict[str, Any], sort_key: str, sort_dir: str
    ) -> Iterator[dict[str, Any]]:
        """Tasks of the type that ours have, page by page."""
        page: list[dict[str, Any]] = []
        while True:
            page = self._db.task_get_all(
                self._context,
                filters={'type': _TASK_TYPE, 'deleted': False, **filters},
                marker=page[-1]['id'] if page else None,
                limit=PAGE,
                sort_key=sort_key,
                sort_dir=sort_dir,
            )
            yield from page
            if len(page) < PAGE:
                return

    def recent_tasks(self, since: float, limit: int | None) -> list[CopyTask]:
        """The tasks about raw copies that changed last, newest first.

        :param since: those that changed no earlier, in seconds since the
            epoch
        :param limit: how many at most
        """
        found: list[CopyTask] = []
        for task in self._pages({}, 'updated_at', 'desc'):
            if epoch(task['updated_at']) < since:
                break
            if limit is not None and len(found) >= limit:
                break
            try:
                full = self._db.task_get(self._context, task['id'])
            except glance_exception.NotFound:
                continue
            if _is_of_copy(full):
                found.append(_copy_task(full))
        return found

    def copy_tasks(self, image_id: str) -> list[CopyTask]:
        """The tasks about an image's copy, newest first.

        Glance forgets one ``task_time_to_live`` (48 h) after it has ended.
        """
        tasks = filter(
            _is_of_copy, self._db.tasks_get_by_image(self._context, image_id)
        )
        return sorted(map(_copy_task, tasks), key=_created, reverse=True)

    @write
    def create_task(
        self, image: Image, store: str, requester: Requester, message: str
    ) -> str:
        """Create a pending task on an image.

        Its type is that of imports, since Glance knows no other that is
        listed with an image; its method says what it is.

        :returns: the task's id
        """
        task_input = {
            'image_id': image.image_id,
            'import_req': {'method': {'name': _METHOD}},
            'backend': [store],
        }
        task = self._gateway.get_task_factory(self._context).new_task(
            task_type=_TASK_TYPE,
            owner=image.owner,
            image_id=image.image_id,
            user_id=requester.user_id,
            request_id=requester.request_id,
            task_input=task_input,
            message=message,
        )
        self._tasks.add(task)
        return str(task.task_id)

    @property
    def _tasks(self) -> Any:
        return self._gateway.get_task_repo(self._context)

    def _change(self, task_id: str, change: Callable[[Any], None]) -> None:
        tasks = self._tasks
        try:
            task = tasks.get(task_id)
            change(task)
            tasks.save(task)
        except (
            glance_exception.NotFound,
            glance_exception.InvalidTaskStatusTransition,
        ) as exc:
            LOG.info('Task %s was not updated: %s', task_id, exc)

    @write
    def begin_task(self, task_id: str, message: str) -> None:
        """Set a task to processing, unless it is, as one that goes on."""

        def change(task: Any) -> None:
            if task.status != 'processing':
                task.begin_processing()
            task.message = message

        self._change(task_id, change)

    @write
    def report(self, task_id: str, message: str) -> None:
        """Set the message of a task that has not ended."""

        def change(task: Any) -> None:
            if task.status in _OPEN:
                task.message = message

        self._change(task_id, change)

    @write
    def succeed_task(
        self, task_id: str, result: dict[str, Any], message: str
    ) -> None:
        """End a task well. A pending one passes through processing."""

        def change(task: Any) -> None:
            if task.status == 'pending':
                task.begin_processing()
            task.message = message
            task.succeed(result)

        self._change(task_id, change)

    @write
    def fail_task(self, task_id: str, message: str) -> None:
        """End a task in failure, with a sentence that says why."""
        self._change(task_id, lambda task: task.fail(message))
