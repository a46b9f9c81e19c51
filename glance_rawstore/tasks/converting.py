# SPDX-License-Identifier: Apache-2.0
"""The steps in which the copy is made; each with its undo beside it.

Undo runs in the reverse order of doing, accepts "already gone", and goes on
trying while Ceph or the database is away, so that nothing is left behind; of a
process that ends, an agent puts right what is.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from taskflow.types import failure

from glance_rawstore import convert
from glance_rawstore import evicting
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import handover
from glance_rawstore import making
from glance_rawstore import safety
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.part import Part
from glance_rawstore.tasks import originals
from glance_rawstore.tasks import outcome
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.insisting import insist
from glance_rawstore.tasks.job import Job
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import give_up_head_start
from glance_rawstore.tasks.step import patience
from glance_rawstore.tasks.step import reason
from glance_rawstore.tasks.step import taken_over

LOG = logging.getLogger(__name__)


class Reserve(Step):
    """Create the ``.part`` and take the lease on it."""

    default_provides = 'part'

    def execute(self, image: Image) -> Part:
        """Reserve; goes on with what a dead worker left, if it can.

        :raises LeaseHeld: a living worker is making this copy
        :raises CopyExists: it is made already
        """
        pool = self.job.raw_pool
        if self.job.head_start is not None:
            part = self.job.head_start.give_part()
        else:
            part = making.reserve(
                pool, image.image_id, self.job.options, image.content
            )
        # At worst it is offered once more, and seen to be taken.
        with contextlib.suppress(exceptions.RawStoreError):
            handover.take(pool.ioctx, image.image_id)
        return part

    def revert(
        self,
        result: Any,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """Remove the ``.part``, if nobody goes on; give up the lease."""
        if isinstance(result, failure.Failure):
            return
        give_up_head_start(self.job)  # which may be writing it
        if self.job.hands_over(reason(flow_failures)):
            result.release()
            return
        insist(self.job, lambda: result.discard(patience(self.job)))
        result.release()


class Inspect(Step):
    """Open the original and judge it; provides what to convert."""

    default_provides = ('original', 'verdict')

    def execute(
        self, image: Image, task_id: str
    ) -> tuple[originals.Original, safety.Verdict]:
        """Judge.

        :raises Refused: qemu-img does not get to see this image
        """
        job = self.job
        if job.head_start is not None:
            begun = job.head_start.begun
            return begun.original, begun.verdict
        disk_format = formats.check_formats(
            image.disk_format, image.container_format
        )
        original = job.resources.enter_context(
            originals.open_original(
                job, image, lambda text: job.catalog.report(task_id, text)
            )
        )
        verdict = safety.inspect(
            original.source, disk_format, job.options.max_size
        )
        return original, verdict

    def revert(
        self,
        result: Any,
        image: Image,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """Mend what a deletion may have left of the original."""
        if isinstance(reason(flow_failures), exceptions.Refused):
            return  # nothing was open for long
        readers: set[str] = set()
        if not isinstance(result, failure.Failure):
            original, _verdict = result
            readers = original.readers
        insist(self.job, lambda: originals.repair(self.job, image, readers))


class Measure(Step):
    """Give the ``.part`` its size; provides what will be written."""

    default_provides = 'info'

    def execute(
        self,
        part: Part,
        original: originals.Original,
        verdict: safety.Verdict,
        task_id: str,
    ) -> convert.Info:
        """Measure.

        :raises TooLarge: beyond ``max_virtual_size``
        :raises NoSpace: there is more data than free space, or budget
        """
        if self.job.head_start is not None:
            return self.job.head_start.begun.info
        wait = self.waiting(
            task_id, progress.Elapsed('Waiting for others to reserve space')
        )
        job = self.job
        evictor = evicting.Evictor(job.catalog, part.pool, job.options)
        return part.measure(original.source, verdict, evictor.make_room, wait)


class Convert(Step):
    """Run qemu-img from the original into the ``.part``."""

    def execute(
        self,
        part: Part,
        original: originals.Original,
        verdict: safety.Verdict,
        info: convert.Info,
        task_id: str,
    ) -> None:
        """Convert, and judge what came out.

        :raises LeaseLost: another worker is at it, whatever we saw fail
        :raises ConversionFailed: see :mod:`glance_rawstore.convert`
        :raises Cancelled: the copy, the image or our process goes away
        """
        outcome.begun(self.job, task_id, info, part.resumed_at)
        ahead = self.job.head_start
        if ahead is not None:
            with (
                _judged(self.job, part),
                self.telling(task_id, ahead.begun.done),
            ):
                ahead.join()
            return
        done = progress.Conversion(info.allocated, part.resumed_at)
        original.note_others()
        with _judged(self.job, part), self.telling(task_id, done):
            part.fill(
                original.source,
                verdict,
                done.update,
                lambda: self._stop(original),
                lambda: trying.advanced(self.job),
            )

    def _stop(self, original: originals.Original) -> Exception | None:
        """Why a running conversion shall stop, besides what the copy says."""
        # Also when it stops: one may have begun to read just now, and is to
        # be fenced. Not knowing is no reason to stop, here as elsewhere; but
        # what is read of an RBD image that is gone is zeros.
        gone = None
        try:
            original.note_readers()
        except exceptions.NotFound:
            gone = exceptions.ConversionFailed(originals.MISPLACED)
        except exceptions.RawStoreError as exc:
            LOG.debug('Image %s: %s', self.job.image_id, exc)
        if self.job.stop.is_set():
            return exceptions.Interrupted()
        return self.job.deleted() or gone


@contextlib.contextmanager
def _judged(job: Job, part: Part) -> Iterator[None]:
    """See whether what fails does so because another worker is at it.

    Who has fenced us as well, if that is why.

    :raises LeaseLost: in the place of what was raised
    """
    try:
        yield
    except Exception as exc:
        job.renew()
        if taken_over(job, part):
            raise exceptions.LeaseLost() from exc
        raise


class Commit(Step):
    """Make the ``.part`` the active copy."""

    default_provides = 'bytes_used'

    def execute(
        self, part: Part, verdict: safety.Verdict, task_id: str
    ) -> int:
        """Commit; returns the bytes that the copy uses.

        :raises LeaseLost: another worker may be at it
        :raises Cancelled: the copy was deleted meanwhile
        """
        if self.job.slot is not None:
            self.job.slot.end()
        elapsed = progress.Elapsed('Finishing the copy')
        with _judged(self.job, part), self.telling(task_id, elapsed):
            meta = {raw_copy.META_SOURCE_FORMAT: verdict.disk_format}
            if self.job.by_wish:
                meta[raw_copy.META_BY_WISH] = 'true'
            return part.commit(meta)

    def revert(
        self,
        result: Any,
        part: Part,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """Delete the committed copy, unless somebody goes on.

        Clones made meanwhile keep theirs.
        """
        if self.job.hands_over(reason(flow_failures)):
            return  # only its location is left to be set
        if not isinstance(result, failure.Failure):
            pool, image_id = part.pool, part.image_id
            insist(self.job, lambda: pool.delete_one(image_id, part.rbd_id))
