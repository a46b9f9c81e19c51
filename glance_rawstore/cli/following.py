# SPDX-License-Identifier: Apache-2.0
"""Follow copies that are being made, by whomever, until all have ended."""

import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore.cli import progress
from glance_rawstore.cli.outcomes import Outcome
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status

#: Seconds between looks; more where there are many images to look at.
INTERVAL = 1.0
_AT_ONCE = 50


@dataclasses.dataclass(frozen=True)
class Look:
    """How far a copy is.

    :param percent: of its data; None where none is written yet
    :param message: of the task that was there last
    :param is_open: somebody makes it, or is about to
    """

    active: bool
    is_open: bool
    percent: int | None = None
    message: str = ''


def look(catalog: Any, pool: raw_pool.RawPool, image_id: str) -> Look:
    """Look at one copy.

    :param catalog: :class:`glance_rawstore.catalog.Catalog`
    :raises CephUnavailable: the cluster does not answer
    """
    # In this order: whoever ends a task has made the copy before.
    tasks = catalog.copy_tasks(image_id)
    opened = [task for task in tasks if task.is_open]
    message = (opened or tasks)[0].message if tasks else ''
    offered = handover.offered(pool.ioctx, image_id) is not None
    active = pool.status(image_id) is Status.ACTIVE
    rbd_id = directory.id_of(pool.ioctx, raw_copy.part_name(image_id))
    header = directory.header(pool.ioctx, rbd_id) if rbd_id else None
    return Look(
        active=active,
        is_open=bool(opened) or (offered and not active),
        percent=header.progress if header else None,
        message=message,
    )


class Follower:
    """Follows some copies.

    :param catalog: :class:`glance_rawstore.catalog.Catalog`
    :param pool: the raw pool
    :param tell: called with what became of each
    :param shown: where progress is shown
    :param ended: says of an image whether the making of its copy has ended
        here; never, where others make them
    :param patience: seconds for which nobody need be at it
    """

    def __init__(
        self,
        catalog: Any,
        pool: raw_pool.RawPool,
        tell: Callable[[Outcome], None],
        shown: progress.Shown,
        ended: Callable[[str], bool] = lambda image_id: False,
        patience: float = 0.0,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._tell = tell
        self._shown = shown
        self._ended = ended
        self._patience = patience
        self._idle: dict[str, float] = {}
        self.waiting: list[str] = []

    def follow(
        self,
        image_ids: Sequence[str],
        again: Callable[[list[str]], None],
        timeout: float | None,
    ) -> None:
        """Until all have ended, or the time is over.

        :param again: called with those that have not, before each look
        :param timeout: in seconds; None for as long as it takes
        """
        self.waiting = list(image_ids)
        until = None if timeout is None else time.monotonic() + timeout
        while self.waiting:
            again(list(self.waiting))
            for image_id in list(self.waiting):
                self._step(image_id)
            if not self.waiting:
                return
            if until is not None and time.monotonic() >= until:
                break
            time.sleep(max(INTERVAL, len(self.waiting) / _AT_ONCE))
        for image_id in list(self.waiting):
            self._end(Outcome(image_id, 'pending', 'not yet made', status=1))

    def _step(self, image_id: str) -> None:
        # First: what ended after a look is seen by the next one.
        ended = self._ended(image_id)
        try:
            found = look(self._catalog, self._pool, image_id)
        except exceptions.Blocklisted:
            raise  # nothing will be seen over this connection any more
        except exceptions.CephUnavailable as exc:
            print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)
            return
        if found.active and (ended or not found.is_open):
            self._end(Outcome(image_id, 'active', found.message))
        elif ended or self._given_up(image_id, found):
            # What was made here has its own task, and so has an order; but
            # where nothing was begun, the last task is that of another time.
            told = ended or not self._patience
            why = (found.message if told else '') or 'Nobody makes it.'
            self._end(Outcome(image_id, 'failed', why, status=1))
        else:
            message = found.message if found.is_open else 'Waiting.'
            self._shown.update(image_id, found.percent, message)

    def _given_up(self, image_id: str, found: Look) -> bool:
        """Whether nobody has been at it for too long."""
        if found.is_open:
            self._idle.pop(image_id, None)
            return False
        now = time.monotonic()
        return now - self._idle.setdefault(image_id, now) >= self._patience

    def _end(self, outcome: Outcome) -> None:
        self.waiting.remove(outcome.image_id)
        self._shown.end(outcome.image_id)
        self._tell(outcome)
