# SPDX-License-Identifier: Apache-2.0
"""Help another worker with the copy that it makes: write slices of it.

As the conversion itself does, a helper looks at the original before anything
else opens it. It has no task, takes nothing away, and commits nothing: what
goes wrong here is left to the worker that makes the copy.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator

from glance_rawstore import child
from glance_rawstore import cluster_slots
from glance_rawstore import crew
from glance_rawstore import exceptions
from glance_rawstore import filling
from glance_rawstore import formats
from glance_rawstore import record
from glance_rawstore import resuming
from glance_rawstore import safety
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.record import Record
from glance_rawstore.tasks import originals
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)


class GivesWay(exceptions.Cancelled):
    """A conversion waits for the slot of who helps."""

    sentence = 'Another conversion waits for its turn.'


class Helper(filling.Worker):
    """Writes slices that nobody ever wrote, until there are no more."""

    def run(self, between: filling.Between, calls: child.Callbacks) -> int:
        """Help.

        :returns: how many slices were written
        :raises LeaseLost: the copy is another worker's now
        :raises Cancelled: it was deleted, or we are to stop
        :raises ConversionFailed: a slice cannot be written; it is left to
            the worker that makes the copy
        """
        count = 0
        while self._take(between, calls):
            try:
                self._write(between, calls)
            except BaseException:
                with contextlib.suppress(exceptions.RawStoreError):
                    self.record.give_back()
                raise
            count += 1
        return count

    def _take(self, between: filling.Between, calls: child.Callbacks) -> bool:
        if (why := calls.stop()) is not None:
            raise why
        self.cut(between, calls.stop)
        most = self.options.workers
        return self.record.take((FREE,), most, calls.stop) is not None

    def _write(self, between: filling.Between, calls: child.Callbacks) -> None:
        taken = self.record.todo.has(self.record.name)
        if taken is None or taken.dirty:
            raise exceptions.LeaseLost()
        self.write(taken.slice, between, calls)
        self.record.done(stop=calls.stop)


def run(job: Job, rbd_id: str, wanted: Callable[[], bool]) -> int:
    """Help with the copy of an image, if there is something to do.

    :param job: of that image
    :param rbd_id: internal id of the ``.part``
    :param wanted: whether a conversion waits for our slot
    :returns: how many slices were written
    :raises NothingToDo: nor will there be
    :raises RawStoreError: as :meth:`Helper.run`
    """
    kept = resuming.saved(job.raw_pool, rbd_id)
    if kept is None or not kept.free():
        crew.withdraw(job.raw_pool.ioctx, job.image_id, rbd_id)
        return 0
    image = job.catalog.image(job.image_id)
    if image is None or not _is_for_us(job, image, rbd_id, kept):
        return 0
    if originals.in_rbd(image, job.all_stores) is None:
        raise exceptions.NothingToDo('The original is not in RBD.')
    disk_format = formats.check_formats(
        image.disk_format, image.container_format
    )
    with contextlib.ExitStack() as stack:
        if not stack.enter_context(_cluster_slot(job)):
            return 0
        name = stack.enter_context(
            crew.presence(
                job.raw_pool.ioctx, rbd_id, job.options.lease_duration
            )
        )
        original = stack.enter_context(
            originals.open_original(job, image, lambda text: None)
        )
        source = original.source
        verdict = safety.inspect(source, disk_format, job.options.max_size)
        ours = Record(
            job.raw_pool,
            rbd_id,
            kept.owner,
            image.content,
            name,
            job.options.stall_timeout,
        )
        ours.look()
        part = raw_copy.part_name(job.image_id)
        between = filling.Between(
            verdict.node(source.node),
            job.raw_pool.node(part),
        )
        calls = child.Callbacks(
            stop=lambda: _why_stop(job, ours, wanted),
            full=lambda: job.raw_pool.full(rbd_id),
        )
        helper = Helper(job.raw_pool, job.image_id, ours, job.options)
        return helper.run(between, calls)


@contextlib.contextmanager
def _cluster_slot(job: Job) -> Iterator[bool]:
    """Have one of the cluster's slots, if it is to be had and needed."""
    limited = cluster_slots.limited(job.raw_pool.ioctx, job.options)
    held = None if limited is None else limited.at_once()
    try:
        yield limited is None or held is not None
    finally:
        if held is not None:
            held.release()


def _is_for_us(job: Job, image: Image, rbd_id: str, kept: Slices) -> bool:
    """Whether we can help with a copy, and whoever makes it is ready."""
    owner, _ = record.read(job.raw_pool, rbd_id)
    return (
        # A new one has to shut the former one and its helpers out first.
        bool(owner)
        and owner == kept.owner
        and image.status == 'active'
        and image.content == kept.source
    )


def _why_stop(
    job: Job, ours: Record, wanted: Callable[[], bool]
) -> Exception | None:
    """Why a helper shall stop."""
    if job.stop.is_set():
        return exceptions.Interrupted()
    if wanted() or _wanted_by_cluster(job):
        return GivesWay()
    return resuming.lost(job.raw_pool, job.image_id, ours) or job.deleted()


def _wanted_by_cluster(job: Job) -> bool:
    """Whether somebody waits for one of the cluster's slots."""
    limited = cluster_slots.limited(job.raw_pool.ioctx, job.options)
    try:
        return limited is not None and limited.wanted()
    except exceptions.RawStoreError as exc:
        LOG.info('Cannot tell whether others wait to convert: %s', exc)
        return False
