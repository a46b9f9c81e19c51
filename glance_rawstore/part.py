# SPDX-License-Identifier: Apache-2.0
"""A copy that is being made: measure, fill, commit, or nothing left of it."""

import functools
import logging
import time
from collections.abc import Callable

from glance_rawstore import admission
from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import crew
from glance_rawstore import exceptions
from glance_rawstore import filling
from glance_rawstore import lease
from glance_rawstore import nodes
from glance_rawstore import periodic
from glance_rawstore import raw_pool
from glance_rawstore import record
from glance_rawstore import resuming
from glance_rawstore import safety
from glance_rawstore import sources
from glance_rawstore.lifecycle import cutting
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.options import Options

LOG = logging.getLogger(__name__)

Progress = Callable[[float], None]
Stop = Callable[[], Exception | None]


class Part:
    """A ``.part`` that is ours.

    :param rbd_id: internal id of the RBD image
    :param taken: the lease on it
    :param source: tells the original from any other; empty where nobody
        shall go on with it

    :ivar record: what is done of it
    :ivar resumed_at: part that was done already, 0.0 to 1.0
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        image_id: str,
        rbd_id: str,
        taken: lease.Lease,
        options: Options,
        source: str = '',
    ) -> None:
        self.pool = pool
        self.image_id = image_id
        self.rbd_id = rbd_id
        self._lease = taken
        self._options = options
        self.record = record.Record(
            pool,
            rbd_id,
            taken.cookie,
            source,
            patience=options.stall_timeout,
        )
        self.resumed_at = 0.0

    def take_over(self) -> bool:
        """Go on with what a worker that is gone has left, if it is of use.

        :raises Cancelled: it was deleted meanwhile
        """
        ours = resuming.take_over(
            self.pool, self.image_id, self.rbd_id, self._lease, self.record
        )
        if ours:
            self.resumed_at = self.record.todo.part_done()
        return ours

    def _qemu_img(self, length: int) -> convert.QemuImg:
        return convert.QemuImg(self._options.limits(length))

    def measure(
        self,
        source: sources.Source,
        verdict: safety.Verdict,
        evict: admission.Evict = admission.nobody,
        wait: Callable[[float], None] = time.sleep,
    ) -> convert.Info:
        """Measure the original, and give the ``.part`` its exact size.

        :param verdict: what the inspection found
        :param evict: see :func:`admission.admit`, as ``wait``
        :raises TooLarge: qemu-img sees another size than the header names
        :raises NoSpace: there is more data than free space, or budget
        """
        node = verdict.node(source.node)
        qemu_img = self._qemu_img(verdict.virtual_size)
        info = qemu_img.info(node, verdict.sure_size)
        safety.check_size(info.virtual_size, self._options.max_size)
        claim = admission.Claim(
            self.image_id,
            self.rbd_id,
            min(info.allocated, info.virtual_size),
            int(info.allocated * self.resumed_at),
            info.virtual_size,
        )
        limits = self._options.budget
        admission.admit(self.pool, limits, claim, evict, wait)
        if self.record.slices is None:
            self.pool.resize(self.image_id, self.rbd_id, info.virtual_size)
            self.record.begin(self._cut(qemu_img, node, info))
        elif self.record.slices.size != info.virtual_size:
            raise exceptions.ConversionFailed(
                'The copy that was begun is not of the size of the image.'
            )
        return info

    def _cut(
        self, qemu_img: convert.QemuImg, node: nodes.Node, info: convert.Info
    ) -> tuple[Slice, ...]:
        whole = Slice(0, info.virtual_size, info.allocated)
        if not self.record.source:  # nobody can go on with it
            return (whole,)
        options, unit = self._options, self._options.object_size
        measure = functools.partial(qemu_img.allocated, node)
        found = cutting.split(whole, options.slice_size, unit, measure)
        if len(found) > 1 and crew.may_come(self.pool.ioctx, options.workers):
            # Not to be still at it when others have done the rest.
            free = Slices(self.record.source, found)
            wanted = cutting.share(free, options.workers, unit)
            first = cutting.first(found[0], wanted, unit, measure)
            found = (*first, *found[1:])
        return found

    def fill(
        self,
        source: sources.Source,
        verdict: safety.Verdict,
        progress: Progress = lambda done: None,
        stop: Stop = lambda: None,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        """Write the guest's data, slice by slice, and judge what came out.

        :param progress: called with the part done, 0.0 to 1.0
        :param stop: gives the caller's own reason to stop, asked twice a
            second
        :param advanced: called when a slice is done, unless it is the last
        :raises LeaseLost: another worker may be at it
        :raises Cancelled: the copy was deleted meanwhile
        :raises ConversionFailed: see :meth:`convert.QemuImg.convert`
        :raises UnsafeImage: the result is a disk image in itself
        """
        target = self.pool.node(raw_copy.part_name(self.image_id))
        node = verdict.node(source.node)
        with periodic.noting(self._note) as note:

            def told(done: float) -> None:
                note(done)
                progress(done)

            calls = child.Callbacks(
                progress=told,
                stop=lambda: self._lost() or stop(),
                full=lambda: self.pool.full(self.rbd_id),
            )
            filling.Owner(
                self.pool, self.image_id, self.record, self._options
            ).run(filling.Between(node, target), calls, advanced)
        with self.pool.image(
            raw_copy.part_name(self.image_id), read_only=True
        ) as image:
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
        why = resuming.lost(self.pool, self.image_id, self.record)
        if why is None and self._lease.lost:
            return exceptions.LeaseLost()
        return why

    def taken_over(self, pool: raw_pool.RawPool) -> bool:
        """Whether the image's copy is another worker's, made or being made.

        :param pool: by which to look: ours may be shut out, by that worker
        :raises CephUnavailable: the cluster does not answer
        """
        return resuming.taken_over(
            pool, self.image_id, self.rbd_id, self._lease.cookie
        )

    def commit(self, metadata: dict[str, str]) -> int:
        """Make it the active copy.

        :param metadata: image-meta to keep with the copy
        :returns: bytes that the copy uses
        :raises LeaseLost: another worker may be at it
        :raises Blocklisted: nobody can renew the lease any more
        :raises Cancelled: the copy was deleted meanwhile
        """
        why = self._lost()
        if why is not None:
            raise why
        if not self._secured():
            raise exceptions.LeaseLost()
        used = self.pool.commit(self.image_id, self.rbd_id, metadata)
        limits = self._options.budget
        admission.settle(self.pool, limits, self.image_id, self.rbd_id, used)
        return used

    def discard(self, patience: float = 0.0) -> None:
        """Remove it; accepts "already gone".

        Unless another worker has taken it over, whose it is then.

        :param patience: see :meth:`raw_pool.RawPool.discard`
        """
        if self._secured():
            self.pool.discard(self.image_id, self.rbd_id, patience)
            admission.withdraw(self.pool, self._options.budget, self.rbd_id)

    def _secured(self) -> bool:
        """Whether it is ours, for as long as a lease lasts.

        Asked before the lease is renewed, so that a free one is not taken,
        and after, as it may have been free for a while.

        :raises Blocklisted: that is why it is not
        """
        if self._claimed() and self._lease.confirm() and self._claimed():
            return True
        if self.pool.shut_out():  # since: a lost lease does not say why
            raise exceptions.Blocklisted()
        return False

    def _claimed(self) -> bool:
        worker = resuming.worker(self.pool, self.rbd_id)
        return worker == self._lease.cookie

    def release(self) -> None:
        """Give the lease up."""
        self._lease.release()
