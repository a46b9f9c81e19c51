# SPDX-License-Identifier: Apache-2.0
"""Glance's side of a copy: its location row and its task.

The only importer of Glance's internals (tested with glance 33.0.0;
``tests/unit/test_upstream.py`` notices when they move). All access is with
an admin context, since a tenant's import hands plugins no admin repository.

Rows are written with the database API of single locations, never by saving
the image: a save would move ``updated_at``, on which Cinder's image cache
drops its entries, and would race with what users change.
"""

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable
from typing import Any, ParamSpec, TypeVar

import glance.context
import glance.db
import glance.gateway
from glance.common import crypt
from glance.common import exception as glance_exception
from glance.common import utils as glance_utils
from oslo_config import cfg

LOG = logging.getLogger(__name__)

_IMPORT_LOCK = 'os_glance_import_task'
_TASK_TYPE = 'api_image_import'
#: What tells our tasks from imports.
_METHOD = 'raw-cache'

_P = ParamSpec('_P')
_R = TypeVar('_R')


@dataclasses.dataclass(frozen=True)
class Image:
    """What we need to know of an image. Sizes in bytes."""

    image_id: str
    status: str
    disk_format: str | None
    container_format: str | None
    size: int
    virtual_size: int
    owner: str | None
    properties: dict[str, str]
    locations: tuple[dict[str, Any], ...]

    @property
    def import_task(self) -> str | None:
        """Id of the task that holds Glance's import lock on the image."""
        return self.properties.get(_IMPORT_LOCK) or None


@dataclasses.dataclass(frozen=True)
class Requester:
    """Who asked for the import, to be named on the task."""

    user_id: str | None
    request_id: str | None


def _write(method: Callable[_P, _R]) -> Callable[_P, _R]:
    """Try again while SQLite or MySQL report a lock."""

    @functools.wraps(method)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        result: _R = glance_utils.retry_on_db_lock(
            lambda: method(*args, **kwargs)
        )
        return result

    return wrapper


def _is_of_copy(task: dict[str, Any]) -> bool:
    """Whether a task is one of ours; a tenant's may hold anything."""
    task_input = task.get('input') or {}
    method = (task_input.get('import_req') or {}).get('method') or {}
    return bool(method.get('name') == _METHOD)


class Catalog:
    """Images, locations and tasks of the Glance that we run in.

    :param conf: Glance's own configuration
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._conf = conf
        self._context = glance.context.RequestContext(
            is_admin=True, roles=['admin'], overwrite=False
        )
        self._gateway = glance.gateway.Gateway()
        self._db = glance.db.get_api()

    def image(self, image_id: str) -> Image | None:
        """Facts of an image, or None when it is gone."""
        try:
            found = dict(self._db.image_get(self._context, image_id))
        except glance_exception.NotFound:
            return None
        if found['deleted'] or found['status'] == 'deleted':
            return None
        return Image(
            # As Glance has it: MySQL finds an id in any case.
            image_id=found['id'],
            status=found['status'],
            disk_format=found['disk_format'],
            container_format=found['container_format'],
            size=found['size'] or 0,
            virtual_size=found['virtual_size'] or 0,
            owner=found['owner'],
            properties={
                p['name']: p['value']
                for p in found['properties']
                if not p['deleted']
            },
            locations=tuple(self._plain(row) for row in found['locations']),
        )

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

    @_write
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

    @_write
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

    # Tasks

    @_write
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

    def copy_task_status(self, image_id: str) -> str | None:
        """Status of the newest task of an image's copy, None without any."""
        tasks = self._db.tasks_get_by_image(self._context, image_id)
        ours = [task for task in tasks if _is_of_copy(task)]
        newest = max(ours, key=lambda task: task['created_at'], default=None)
        return newest['status'] if newest else None

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

    @_write
    def begin_task(self, task_id: str, message: str) -> None:
        """Set a pending task to processing."""

        def change(task: Any) -> None:
            task.begin_processing()
            task.message = message

        self._change(task_id, change)

    @_write
    def report(self, task_id: str, message: str) -> None:
        """Set a task's message."""

        def change(task: Any) -> None:
            task.message = message

        self._change(task_id, change)

    @_write
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

    @_write
    def fail_task(self, task_id: str, message: str) -> None:
        """End a task in failure, with a sentence that says why."""
        self._change(task_id, lambda task: task.fail(message))
