# SPDX-License-Identifier: Apache-2.0
"""The steps of a conversion; each with its undo beside it.

Undo runs in the reverse order of doing, accepts "already gone", and goes on
trying while Ceph is away, so that nothing is left behind.
"""

import contextlib
import logging
import time
from typing import Any

from taskflow.types import failure

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import making
from glance_rawstore import safety
from glance_rawstore import slots
from glance_rawstore import wishes
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.tasks import originals
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.job import Job
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import insist
from glance_rawstore.tasks.step import put_location
from glance_rawstore.tasks.step import reason

LOG = logging.getLogger(__name__)


#: Seconds after which Ceph drops the watch of a dead client, and some more.
_WATCH_TIMEOUT = 45.0


class WaitUntilStored(Step):
    """Wait until every store has the data; provides the image as it is then.

    The import is in its last steps, and may still fail.
    """

    default_provides = 'image'

    def execute(self) -> Image:
        """Wait.

        :raises Cancelled: the import failed, or the image is gone
        """
        return self.await_import(
            lambda image: image.import_task is None or not image.being_stored
        )


class WaitUntilImported(Step):
    """Wait until the import has let go of the image.

    In its last steps it still saves the image, and that save would drop a
    location which it does not know.
    """

    def execute(self, image: Image) -> None:
        """Wait.

        :raises Cancelled: the import failed, or the image is gone
        """
        now = self.await_end_of_import(image)
        if now.updated_at != image.updated_at:
            trying.count(self.job, now)  # it is another version


class OpenTask(Step):
    """Create the Glance task by which the tenant follows the copy."""

    default_provides = 'task_id'

    def execute(self, image: Image) -> str:
        """Create it as pending."""
        return self.job.catalog.create_task(
            image,
            self.job.store.name,
            self.job.requester,
            'Waiting to make a raw copy.',
        )

    def revert(
        self,
        result: Any,
        image: Image,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """End the task: everything else has been undone by now."""
        if isinstance(result, failure.Failure):
            return
        why = reason(flow_failures)
        # What an import saves last makes it another version.
        with contextlib.suppress(exceptions.Cancelled):
            image = self.await_end_of_import(image)
        trying.made_none(self.job, image, why)
        insist(lambda: self._close(result, why))

    def _close(self, task_id: str, why: Exception) -> None:
        catalog = self.job.catalog
        if isinstance(why, exceptions.NothingToDo | exceptions.LeaseHeld):
            catalog.succeed_task(
                task_id, {'image_id': self.job.image_id}, str(why)
            )
        elif isinstance(why, exceptions.RawStoreError):
            catalog.fail_task(task_id, str(why))
        else:
            catalog.fail_task(
                task_id,
                'The raw copy failed for an internal reason. The image '
                'itself is not affected.',
            )


class CheckWanted(Step):
    """Read the image's properties and formats, before anything is made."""

    default_provides = 'weight'

    def execute(self, image: Image) -> int:
        """Return the weight for the location.

        :raises NothingToDo: not wanted any more, or raw already
        :raises Refused: a bad property or format
        """
        default = self.job.options.by_default and safety.convertible(
            image.disk_format, image.container_format
        )
        if not wishes.wanted(image.properties, default):
            raise exceptions.NothingToDo('No raw copy is wanted any more.')
        weight = wishes.weight(image.properties, self.job.options.weight)
        if image.disk_format in safety.ALREADY_RAW:
            raise exceptions.NothingToDo(
                f'A {image.disk_format} image needs no raw copy.'
            )
        safety.check_formats(image.disk_format, image.container_format)
        return weight


class TakeSlot(Step):
    """Wait for one of the conversions that may run at once on this node."""

    def execute(self, task_id: str) -> None:
        """Take it until the job ends, and say that the work begins."""
        if not self.job.has_slot:
            self._take(task_id)
        self.job.started = time.monotonic()
        self.job.catalog.begin_task(task_id, 'Preparing the raw copy.')

    def _take(self, task_id: str) -> None:
        options = self.job.options
        wait = self.waiting(
            task_id, progress.Elapsed('Waiting for other conversions to end')
        )
        self.job.resources.enter_context(
            slots.slot(options.scratch_dir, options.max_conversions, wait)
        )


class Reserve(Step):
    """Create the ``.part`` and take the lease on it."""

    default_provides = 'rbd_id'

    def execute(self, image: Image) -> str:
        """Reserve; takes over what a dead worker left.

        :raises LeaseHeld: a living worker is making this copy
        :raises CopyExists: it is made already
        """
        rbd_id, self.job.lease = making.reserve(
            self.job.raw_pool, image.image_id, self.job.options
        )
        return rbd_id

    def revert(self, result: Any, **_kwargs: Any) -> None:
        """Remove the ``.part`` and with it the lease."""
        if isinstance(result, failure.Failure):
            return
        pool = self.job.raw_pool
        # A process that ends does not wait; what is trashed is reaped later.
        patience = 0.0 if self.job.stop.is_set() else _WATCH_TIMEOUT
        insist(lambda: pool.discard(self.job.image_id, result, patience))
        if self.job.lease is not None:
            self.job.lease.release()


class ReserveLocation(Step):
    """Put the location on the image, as pending."""

    default_provides = 'url'

    def execute(self, weight: int) -> str:
        """Add the row; returns the location's URL."""
        url = raw_copy.url(
            self.job.fsid, self.job.raw_pool.name, self.job.image_id
        )
        put_location(self.job, url, states.Status.PENDING, weight)
        return url

    def revert(self, result: Any, **_kwargs: Any) -> None:
        """Remove the row."""
        if not isinstance(result, failure.Failure):
            catalog, image_id = self.job.catalog, self.job.image_id
            insist(lambda: catalog.remove_location(image_id, result))


class Inspect(Step):
    """Open the original and judge it; provides what to convert."""

    default_provides = ('source', 'verdict')

    def execute(
        self, image: Image, task_id: str
    ) -> tuple[convert.Node, safety.Verdict]:
        """Judge.

        :raises Refused: qemu-img does not get to see this image
        """
        job = self.job
        disk_format = safety.check_formats(
            image.disk_format, image.container_format
        )
        source = job.resources.enter_context(
            originals.open_original(job, image, task_id)
        )
        verdict = safety.inspect(source, disk_format, job.options.max_size)
        job.source = source
        return source.node, verdict

    def revert(
        self,
        image: Image,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """Mend what a deletion may have left of the original."""
        if isinstance(reason(flow_failures), exceptions.Refused):
            return  # nothing was open for long
        insist(lambda: originals.repair(self.job, image))


class Measure(Step):
    """Give the ``.part`` its size; provides what will be written."""

    default_provides = ('filling', 'info')

    def execute(
        self, source: convert.Node, verdict: safety.Verdict, rbd_id: str
    ) -> tuple[making.Filling, convert.Info]:
        """Measure.

        :raises TooLarge: beyond ``max_virtual_size``
        :raises NoSpace: there is more data than free space
        """
        job = self.job
        filling = making.Filling(
            job.raw_pool,
            job.store.rbd,
            job.image_id,
            rbd_id,
            source,
            verdict,
            job.options,
        )
        return filling, filling.measure()


class Convert(Step):
    """Run qemu-img from the original into the ``.part``."""

    def execute(
        self,
        filling: making.Filling,
        info: convert.Info,
        rbd_id: str,
        task_id: str,
    ) -> None:
        """Convert, and judge what came out.

        :raises ConversionFailed: see :mod:`glance_rawstore.convert`
        :raises Cancelled: the copy, the image or our process goes away
        """
        done = progress.Conversion(info.allocated)
        with self.telling(task_id, done):
            filling.run(done.update, _Stop(self.job, rbd_id))


class _Stop:
    """Says whether a running conversion shall stop."""

    def __init__(self, job: Job, rbd_id: str) -> None:
        self._job = job
        self._rbd_id = rbd_id
        # who had the original open before qemu-img
        self._others = job.source.watchers() if job.source else set()

    def __call__(self) -> Exception | None:
        job = self._job
        if job.stop.is_set():
            return job.interrupted()
        if job.lease is not None and job.lease.lost:
            return exceptions.LeaseLost()
        try:
            if not job.raw_pool.has_part(job.image_id, self._rbd_id):
                return exceptions.Cancelled()
            if job.source is not None:
                job.readers |= job.source.watchers() - self._others
            job.wait(0)
        except exceptions.Cancelled as exc:
            return exc
        except Exception as exc:
            # Not knowing is no reason to stop; stalling is, elsewhere.
            LOG.info('Cannot tell whether to go on: %s', exc)
        return None


class Commit(Step):
    """Make the ``.part`` the active copy."""

    default_provides = 'bytes_used'

    def execute(
        self, verdict: safety.Verdict, task_id: str, rbd_id: str
    ) -> int:
        """Commit; returns the bytes that the copy uses.

        :raises LeaseLost: another worker may be at it
        """
        if self.job.lease is not None and self.job.lease.lost:
            raise exceptions.LeaseLost()
        with self.telling(task_id, progress.Elapsed('Finishing the copy')):
            return self.job.raw_pool.commit(
                self.job.image_id,
                rbd_id,
                {
                    raw_copy.META_SOURCE_FORMAT: verdict.disk_format,
                    raw_copy.META_BY_WISH: 'true',
                },
            )

    def revert(self, result: Any, **_kwargs: Any) -> None:
        """Delete the committed copy; clones made meanwhile keep theirs."""
        if not isinstance(result, failure.Failure):
            insist(self._delete)

    def _delete(self) -> None:
        with contextlib.suppress(exceptions.NotFound):
            self.job.raw_pool.delete(self.job.image_id)
