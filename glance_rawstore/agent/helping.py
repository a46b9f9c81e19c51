# SPDX-License-Identifier: Apache-2.0
"""Help with large copies that others make, as long as there is time for it."""

import contextlib
import logging
import threading
import time
from collections.abc import Mapping

from glance_rawstore import exceptions
from glance_rawstore import slots
from glance_rawstore import tickets
from glance_rawstore import tracing
from glance_rawstore.agent.node import Node
from glance_rawstore.tasks import helping

LOG = logging.getLogger(__name__)

#: Seconds until a copy is looked at again with which there was nothing to do,
#: and with which something went wrong.
_AGAIN, _LATER = 3.0, 60.0
#: Seconds for which who takes a slot that is free may seem to wait for one.
_MOMENT = 0.3


class _Wanted:
    """Whether somebody waits for a slot, and not just takes a free one.

    :param directory: where slots are counted
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._since: float | None = None

    def __call__(self) -> bool:
        now = time.monotonic()
        if not slots.wanted(self._directory):
            self._since = None
            return False
        if self._since is None:
            self._since = now
        return now - self._since >= _MOMENT


class Helpers:
    """Threads that help, with one copy each; one at a copy.

    :param node: what to work with
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: dict[str, threading.Thread] = {}
        self._not_before: dict[str, float] = {}

    def offer(self, parts: Mapping[str, str]) -> None:
        """Help with these copies, as far as there are slots to spare.

        :param parts: internal ids of the ``.part`` images, by image
        """
        now = time.monotonic()
        with self._lock:
            waits = {p: t for p, t in self._not_before.items() if t > now}
            self._not_before = waits
            free = [
                (image_id, rbd_id)
                for image_id, rbd_id in parts.items()
                if rbd_id not in waits and rbd_id not in self._threads
            ]
        for image_id, rbd_id in free:
            try:
                slot = self._slot()
            except OSError as exc:
                # The listener that calls us is still there for others.
                LOG.warning('Image %s: cannot help: %s', image_id, exc)
                with self._lock:
                    self._not_before[rbd_id] = now + _LATER
                return
            if slot is None:
                return
            self._start(image_id, rbd_id, slot)

    def stop(self) -> None:
        """Have all leave soon; what is being written is left to others."""
        with self._lock:
            self._stop.set()

    def join(self, seconds: float) -> None:
        """Wait until they have left, or so long."""
        until = time.monotonic() + seconds
        with self._lock:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join(max(0.0, until - time.monotonic()))

    def _slot(self) -> tickets.Slot | None:
        """One that nobody waits for; the last one is kept for imports.

        Those that convert what is staged begin at once or not at all.
        """
        options = self._node.options
        if options.workers == 1:
            return None
        first = slots.at_once(options.scratch_dir, options.max_conversions)
        if first is None or options.staged == 'never':
            return first
        with first:
            return slots.at_once(options.scratch_dir, options.max_conversions)

    def _start(self, image_id: str, rbd_id: str, slot: tickets.Slot) -> None:
        thread = threading.Thread(
            target=self._run,
            args=(image_id, rbd_id, slot),
            name=f'rawstore-helper-{image_id}',
            daemon=True,
        )
        with self._lock, contextlib.ExitStack() as unless_started:
            unless_started.callback(slot.close)
            if not self._stop.is_set():
                thread.start()  # which may fail
                self._threads[rbd_id] = thread
                unless_started.pop_all()

    def _run(self, image_id: str, rbd_id: str, slot: tickets.Slot) -> None:
        pause = _LATER
        try:
            with slot:
                pause = 0.0 if self._help(image_id, rbd_id) else _AGAIN
        except (exceptions.Cancelled, exceptions.LeaseLost) as exc:
            LOG.info('Image %s: helps no more: %s', image_id, exc)
            pause = _AGAIN
        except exceptions.NothingToDo as exc:
            LOG.debug('Image %s: %s', image_id, exc)
        except exceptions.RawStoreError as exc:
            LOG.warning(
                'Image %s: cannot help with its raw copy: %s', image_id, exc
            )
        except Exception:
            LOG.exception('Image %s: cannot help with its raw copy', image_id)
        finally:
            with self._lock:
                self._threads.pop(rbd_id, None)
                if pause:
                    self._not_before[rbd_id] = time.monotonic() + pause

    def _help(self, image_id: str, rbd_id: str) -> int:
        """Help with one; how many slices were written."""
        job = self._node.job(image_id, self._stop)
        wanted = _Wanted(self._node.options.scratch_dir)
        with job.resources, tracing.logged_as(job.requester.request_id):
            count = helping.run(job, rbd_id, wanted)
        if count:
            LOG.info(
                'Image %s: helped with its raw copy, %d slices',
                image_id,
                count,
            )
        return count
