# SPDX-License-Identifier: Apache-2.0
"""What the steps of a conversion have in common."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator

from taskflow import task
from taskflow.types import failure

from glance_rawstore import exceptions
from glance_rawstore import periodic
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.part import Part
from glance_rawstore.tasks import progress
from glance_rawstore.tasks.insisting import insist
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Seconds between looks at whether the import has ended; and in its last
#: steps, which take a tenth of a second or two, unless something holds it up:
#: then as before after so many seconds.
POLL = 0.2
_SOON = 0.05
_SOON_FOR = 3.0
#: Looks in a second of all jobs of a process: each takes 2 ms of a core. And
#: the most seconds between two of one job, however many there are.
_LOOKS = 20.0
_LONGEST = 2.0
#: Seconds between two messages of a task that waits, and until the first.
ALIVE = 10.0
FIRST = 2.0
#: Seconds after which Ceph drops the watch of a dead client, and some more.
WATCH_TIMEOUT = 45.0


def patience(job: Job) -> float:
    """Seconds for which the undo waits for a writer that was killed.

    A process that ends does not; what is trashed is reaped later.
    """
    return 0.0 if job.stop.is_set() else WATCH_TIMEOUT


def give_up_head_start(job: Job) -> None:
    """Stop converting a staged file, and remove what nobody goes on with.

    Repeatable.
    """
    head_start, job.head_start = job.head_start, None
    if head_start is not None:
        insist(job, lambda: head_start.abandon(patience(job)))
        job.left = head_start.left
        job.renew()


def taken_over(job: Job, part: Part) -> bool:
    """Whether another worker's doing may be why ours has failed."""
    try:
        return part.taken_over(job.raw_pool)
    except exceptions.RawStoreError:
        return False


def reason(flow_failures: dict[str, failure.Failure]) -> Exception:
    """The exception that made the flow fail."""
    for found in flow_failures.values():
        if isinstance(found.exception, Exception):
            return found.exception
    return RuntimeError('unknown')


class _Looking:
    """The jobs of this process that look at their imports."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    @contextlib.contextmanager
    def one_more(self) -> Iterator[None]:
        """Count one for as long as the context lasts."""
        with self._lock:
            self._count += 1
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1

    def pause(self, least: float) -> float:
        """Seconds until the next look of each, but no fewer than the least."""
        return max(least, min(self._count / _LOOKS, _LONGEST))


_LOOKING = _Looking()


def _ends(image: Image | None) -> bool:
    """Whether the import is in its last steps, and not in a further store's.

    It is active as soon as one has it, if not all of them must succeed.
    """
    return (
        image is not None
        and image.status == 'active'
        and not image.being_stored
    )


class Step(task.Task):  # type: ignore[misc]
    """A step of one job."""

    def __init__(self, job: Job) -> None:
        super().__init__(name=f'{type(self).__name__}-{job.image_id}')
        self.job = job

    def pre_revert(self) -> None:
        """Tell of what was done, though our connection was shut out."""
        self.job.renew()

    def await_import(self, reached: Callable[[Image], bool]) -> Image:
        """Look until an image is active and its import has got so far.

        :raises Cancelled: the import failed, or the image is gone
        """
        with _LOOKING.one_more():
            soon_until = time.monotonic() + _SOON_FOR
            while True:
                image = self.job.look()
                now = time.monotonic()
                if image is not None:
                    if image.status == 'active' and reached(image):
                        return image
                    if image.status != 'active' and image.import_task is None:
                        raise exceptions.Cancelled(
                            'The import did not succeed.'
                        )
                ends = _ends(image)
                if not ends:
                    soon_until = now + _SOON_FOR
                least = _SOON if ends and now < soon_until else POLL
                # Others wait for the slot of one that has it.
                pause = least if self.job.slot else _LOOKING.pause(least)
                if self.job.stop.wait(pause):
                    raise exceptions.Interrupted()

    def await_end_of_import(self, image: Image) -> Image:
        """Look until the import that held an image has ended.

        Not any other, which may have begun since.

        :param image: as it was found at first
        :raises Cancelled: the import failed, or the image is gone
        """
        lock = image.import_task
        return self.await_import(
            lambda now: now.import_task is None or now.import_task != lock
        )

    def telling(
        self, task_id: str, text: Callable[[], str]
    ) -> contextlib.AbstractContextManager[None]:
        """Tell the task, every second while the context lasts."""
        return progress.reporting(
            lambda message: self.job.catalog.report(task_id, message), text
        )

    def waiting(
        self,
        task_id: str,
        text: Callable[[], str],
        interval: Callable[[], float] = lambda: ALIVE,
    ) -> Callable[[float], None]:
        """A way to sleep that tells the task now and then.

        So that everybody sees that its worker is alive.

        :param interval: gives the seconds until the next message
        """
        due = time.monotonic() + FIRST

        def wait(seconds: float) -> None:
            nonlocal due
            self.job.wait(seconds)
            if time.monotonic() >= due:
                due = time.monotonic() + interval()
                periodic.attempt(
                    lambda: self.job.catalog.report(task_id, text())
                )

        return wait


def put_location(
    job: Job, url: str, status: states.Status, weight: int
) -> None:
    """Make the location be there once, with that status."""
    job.catalog.put_location(
        job.image_id,
        url,
        raw_copy.location_metadata(
            job.store.name, status, weight, job.options.node_weights
        ),
    )
