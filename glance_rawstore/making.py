# SPDX-License-Identifier: Apache-2.0
"""Make a copy: reserve, measure, fill, commit, and nothing left if it fails.

What the import's background flow and the driver's ``add`` have in common.
"""

import contextlib
import logging
from collections.abc import Callable

from oslo_utils import units

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import nodes
from glance_rawstore import noting
from glance_rawstore import raw_pool
from glance_rawstore import safety
from glance_rawstore import sources
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.options import Options

LOG = logging.getLogger(__name__)

Progress = Callable[[float], None]
Stop = Callable[[], Exception | None]


def _take(
    pool: raw_pool.RawPool, rbd_id: str, options: Options
) -> lease.Lease:
    taken = lease.Lease(pool.ioctx, rbd_id, options.lease_duration)
    taken.acquire()
    return taken


def clear_dead(
    pool: raw_pool.RawPool, image_id: str, options: Options
) -> None:
    """Remove a ``.part`` on which nobody holds the lease any more.

    :raises LeaseHeld: a living worker has it
    """
    rbd_id = pool.rbd_id(raw_copy.part_name(image_id))
    if rbd_id is None:
        return
    with contextlib.suppress(exceptions.NotFound):
        taken = _take(pool, rbd_id, options)
        try:
            # It may have been committed since; this notes who writes it, too.
            if pool.has_part(image_id, rbd_id):
                pool.discard(image_id, rbd_id)
        finally:
            taken.release()


def reserve(pool: raw_pool.RawPool, image_id: str, options: Options) -> 'Part':
    """Create the ``.part`` and take the lease on it.

    It has no size until the original has been inspected: librbd would take
    for ever to remove an image of the 4 EiB that a header may name. Takes
    over from a dead worker, by removing what that one left.

    :raises LeaseHeld: a living worker is making this copy
    :raises CopyExists: it is made already
    """
    try:
        rbd_id = pool.begin(image_id, 0, options.object_size)
    except exceptions.LeaseHeld:
        clear_dead(pool, image_id, options)
        rbd_id = pool.begin(image_id, 0, options.object_size)
    try:
        taken = _take(pool, rbd_id, options)
    except exceptions.LeaseHeld:
        raise  # another began anew under the name, so it is not ours
    except exceptions.NotFound as exc:
        # Another worker found it without a lease yet, and began anew.
        raise exceptions.LeaseHeld() from exc
    except BaseException:
        pool.discard(image_id, rbd_id)
        raise
    return Part(pool, image_id, rbd_id, taken, options)


class Part:
    """A ``.part`` that is ours.

    :param rbd_id: internal id of the RBD image
    :param taken: the lease on it
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        image_id: str,
        rbd_id: str,
        taken: lease.Lease,
        options: Options,
    ) -> None:
        self.pool = pool
        self.image_id = image_id
        self.rbd_id = rbd_id
        self._lease = taken
        self._options = options

    def _qemu_img(self, verdict: safety.Verdict) -> convert.QemuImg:
        return convert.QemuImg(self._options.limits(verdict.virtual_size))

    def measure(
        self, source: sources.Source, verdict: safety.Verdict
    ) -> convert.Info:
        """Measure the original, and give the ``.part`` its exact size.

        A few MiB of qcow2 may stand for TiBs of data, its clusters being
        shared, so what will be written is compared with what is free.

        :param verdict: what the inspection found
        :raises TooLarge: qemu-img sees another size than the header names
        :raises NoSpace: there is more data than free space
        """
        node = nodes.source(verdict.driver, source.node)
        info = self._qemu_img(verdict).info(node)
        safety.check_size(info.virtual_size, self._options.max_size)
        free = self.pool.available()
        if info.allocated > free:
            raise exceptions.NoSpace(
                f'The image has {info.allocated / units.Gi:.1f} GiB of data, '
                f'and {free / units.Gi:.1f} GiB are free.'
            )
        self.pool.resize(self.image_id, self.rbd_id, info.virtual_size)
        return info

    def fill(
        self,
        source: sources.Source,
        verdict: safety.Verdict,
        progress: Progress = lambda done: None,
        stop: Stop = lambda: None,
    ) -> None:
        """Write the guest's data, and judge what came out.

        :param progress: called with the part done, 0.0 to 1.0
        :param stop: gives the caller's own reason to stop, asked twice a
            second
        :raises LeaseLost: another worker may be at it
        :raises Cancelled: the copy was deleted meanwhile
        :raises ConversionFailed: see :meth:`convert.QemuImg.convert`
        :raises UnsafeImage: the result is a disk image in itself
        """
        node = nodes.source(verdict.driver, source.node)
        name = raw_copy.part_name(self.image_id)
        target = self.pool.node(name)
        with noting.noting(self._note) as note:

            def told(done: float) -> None:
                note(done)
                progress(done)

            calls = child.Callbacks(
                progress=told,
                stop=lambda: self._lost() or stop(),
                full=lambda: self.pool.full(self.rbd_id),
            )
            self._qemu_img(verdict).convert(
                node, target, self._options.requests, calls
            )
        with self.pool.image(name, read_only=True) as image:
            safety.inspect_result(
                sources.RbdSource(self.pool.client, image, target)
            )

    def _note(self, percent: int) -> None:
        self.pool.set_progress(self.image_id, self.rbd_id, percent)

    def _lost(self) -> Exception | None:
        """Why it is not ours any more.

        Asked before the caller, who may not be able to tell: so a lost lease
        is always noticed, and who writes the ``.part`` always known.
        """
        if self._lease.lost:
            return exceptions.LeaseLost()
        try:
            if not self.pool.has_part(self.image_id, self.rbd_id):
                return exceptions.Cancelled()
        except exceptions.RawStoreError as exc:
            # Not knowing is no reason to stop; stalling is, elsewhere.
            LOG.info('Cannot tell whether a copy is still there: %s', exc)
        return None

    def commit(self, metadata: dict[str, str]) -> int:
        """Make it the active copy.

        :param metadata: image-meta to keep with the copy
        :returns: bytes that the copy uses
        :raises LeaseLost: another worker may be at it
        :raises Cancelled: the copy was deleted meanwhile
        """
        if self._lease.lost:
            raise exceptions.LeaseLost()
        return self.pool.commit(self.image_id, self.rbd_id, metadata)

    def discard(self, patience: float = 0.0) -> None:
        """Remove it; accepts "already gone".

        :param patience: see :meth:`raw_pool.RawPool.discard`
        """
        self.pool.discard(self.image_id, self.rbd_id, patience)

    def release(self) -> None:
        """Give the lease up."""
        self._lease.release()
