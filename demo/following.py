# SPDX-License-Identifier: Apache-2.0
"""Follows an image from import to raw copy, as its tenant can."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from demo.checks import Unexpected
from demo.screen import Bar
from demo.screen import Screen

#: Seconds for all of it; seen to take 8.
_DEADLINE = 150
#: Seconds between two looks.
_POLL = 0.2
_PERCENT = re.compile(r'(\d+)%')
_ENDED = ('success', 'failure')
_PROPERTIES = ('raw_cache_status', 'raw_cache_progress', 'raw_cache_size')


@dataclass
class Followed:
    """What was seen; seconds are counted from the import command.

    :param raw_view: when a service was first shown the raw copy
    :param statuses: of the copy, as the image told them, in their order
    """

    image_active: float = 0.0
    raw_active: float = 0.0
    raw_view: float = 0.0
    statuses: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    task: dict[str, Any] = field(default_factory=dict)


class Follower:
    """Looks at an image and its tasks, and prints what has changed."""

    def __init__(
        self,
        client: Any,
        service: Any,
        image_id: str,
        began: float,
        screen: Screen,
    ) -> None:
        """Begin.

        :param client: the tenant's own
        :param service: the client of a service that acts for the tenant
        :param began: the import command, in seconds of time.monotonic()
        """
        self._client = client
        self._service = service
        self._image_id = image_id
        self._began = began
        self._screen = screen
        self._printed: dict[str, str] = {}
        self._seen = Followed()

    def follow(self) -> Followed:
        """Look until the raw copy is there.

        :raises Unexpected: it failed, or takes too long
        """
        # Logs in, so that this is not waited for when it counts.
        self._service.images.get(self._image_id)
        with self._screen.bar() as bar:
            while not self._look(bar):
                if self._now > _DEADLINE:
                    raise Unexpected(
                        f'There is no raw copy after {_DEADLINE} s.'
                    )
                time.sleep(_POLL)
        if self._seen.task['status'] != 'success':
            raise Unexpected(self._seen.task['message'])
        return self._seen

    @property
    def _now(self) -> float:
        return time.monotonic() - self._began

    def _look(self, bar: Bar) -> bool:
        """Look once; returns whether it is over."""
        self._look_at_image()
        images = self._client.images
        for task in images.get_associated_image_tasks(self._image_id)['tasks']:
            method = task['input']['import_req']['method']['name']
            message = task['message'] or ''
            percent = _PERCENT.search(message)
            if percent:
                bar.update(int(percent[1]) / 100, message.split(': ')[-1])
            if not (percent and self._screen.is_terminal):
                self._print(method, task['status'], message)
            if method == 'raw-cache':
                self._note(task, message)
            elif task['status'] == 'failure':
                raise Unexpected(f'The import failed: {message}')
        return bool(self._seen.raw_active and self._seen.raw_view)

    def _look_at_image(self) -> None:
        image = self._client.images.get(self._image_id)
        if image.status == 'active' and not self._seen.image_active:
            self._seen.image_active = self._now
        told = [
            f'{name} {image[name]}' for name in _PROPERTIES if name in image
        ]
        self._print('image', image.status, ', '.join(told))
        status = image.get('raw_cache_status')
        if status and status not in self._seen.statuses:
            self._seen.statuses.append(status)
        if status == 'active' and not self._seen.raw_view:
            self._look_as_service()

    def _look_as_service(self) -> None:
        image = self._service.images.get(self._image_id)
        if image.disk_format == 'raw':
            self._seen.raw_view = self._now

    def _note(self, task: dict[str, Any], message: str) -> None:
        self._seen.task = task
        if message not in self._seen.messages:
            self._seen.messages.append(message)
        if task['status'] in _ENDED and not self._seen.raw_active:
            self._seen.raw_active = self._now

    def _print(self, what: str, status: str, message: str) -> None:
        """Print a line, if it says anything new."""
        if self._printed.get(what) == status + message:
            return
        self._printed[what] = status + message
        line = f'{self._now:5.1f} s  {what:<13}  {status:<10}  {message}'
        self._screen.long_output(line, hang=36)
