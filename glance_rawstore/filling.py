# SPDX-License-Identifier: Apache-2.0
"""Write the slices of a ``.part``: alone, or as one of several workers.

The *owner* makes the copy and holds the lease on it. *Helpers* take slices
that nobody ever wrote, and nothing else; what any of them has left half-done
is emptied and written by the owner. So zeros are written by the owner alone,
and whatever a helper writes late, as one that hung, is what stands there.
"""

import contextlib
import dataclasses
import functools
import logging
import time
from collections.abc import Callable

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import crew
from glance_rawstore import exceptions
from glance_rawstore import nodes
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.lifecycle import cutting
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import LEFT
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Taken
from glance_rawstore.options import Options
from glance_rawstore.record import Record
from glance_rawstore.record import Stop

LOG = logging.getLogger(__name__)

#: Seconds between looks at what others still write.
_LOOK = 0.5


@dataclasses.dataclass(frozen=True)
class Between:
    """From where to where is converted; both as block nodes."""

    source: nodes.Node
    target: nodes.Node


class Worker:
    """One worker that writes slices.

    :param record: that worker's
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        image_id: str,
        record: Record,
        options: Options,
    ) -> None:
        self.pool = pool
        self.image_id = image_id
        self.record = record
        self.options = options

    def write(
        self, mine: Slice, between: Between, calls: child.Callbacks
    ) -> None:
        """Write one slice.

        :raises ConversionFailed: see :meth:`convert.QemuImg.convert`
        :raises Exception: what ``calls.stop`` returned
        """

        def told(running: float) -> None:
            calls.progress(self.record.todo.part_done(running, mine))

        told(0.0)
        window = (mine.offset, mine.length)
        self._qemu_img(mine.length).convert(
            between.source,
            between.target,
            self.options.requests,
            dataclasses.replace(calls, progress=told),
            window=window if len(self.record.todo.slices) > 1 else None,
        )

    def cut(self, between: Between, stop: Stop) -> None:
        """Cut the next free slice, where it is too large for its share.

        :raises Exception: what ``stop`` returned
        """
        free = self.record.todo.free()
        if not free:
            return
        options = self.options
        wanted = cutting.share(
            self.record.todo, options.workers, options.object_size
        )
        measure = functools.partial(
            self._qemu_img(free[0].length).allocated, between.source
        )
        pieces = cutting.first(free[0], wanted, options.object_size, measure)
        if len(pieces) > 1:
            self.record.change(lambda found: found.cut(pieces), stop)

    def _qemu_img(self, length: int) -> convert.QemuImg:
        return convert.QemuImg(self.options.limits(length))


class Owner(Worker):
    """Who makes the copy: writes until every slice is done."""

    def run(
        self,
        between: Between,
        calls: child.Callbacks,
        advanced: Callable[[], None],
    ) -> None:
        """Write slices until there is none left, here or elsewhere.

        :param advanced: called when a slice is done, unless it is the last
        :raises Exception: as :meth:`part.Part.fill`
        """
        shared = crew.Sharing(
            self.pool.ioctx, self.image_id, self.record, self.options.workers
        )
        with contextlib.closing(shared):
            disturbed = False
            while self.record.todo.left():
                taken = self._take(between, calls)
                if taken is None:
                    self._await_helpers(calls)
                    continue
                shared.tell()
                disturbed = disturbed or taken.dirty
                self._fill(taken, between, calls)
                if self.record.todo.left():
                    advanced()
        if disturbed:
            # Whoever left one may have writes under way.
            resuming.shut_out(self.pool, self.image_id)

    def _take(self, between: Between, calls: child.Callbacks) -> Taken | None:
        """What was taken already, or the next one."""
        mine = self.record.todo.has(self.record.name)
        if mine is not None:
            return mine
        if self._has_helpers():
            self._take_back(calls)
            if LEFT not in self.record.todo.states:
                self.cut(between, calls.stop)
        return self.record.take(stop=calls.stop)

    def _has_helpers(self) -> bool:
        return bool(self.record.todo.workers() - {self.record.name})

    def _fill(
        self, taken: Taken, between: Between, calls: child.Callbacks
    ) -> None:
        """Convert one slice, note that it is done, and take the next."""
        mine = taken.slice
        if taken.dirty:
            resuming.empty(self.pool, self.image_id, mine, calls.stop)
        self.write(mine, between, calls)
        # One may be done before anybody was asked whether to go on.
        last = self.record.todo.left() == (mine,)
        why = None if last else calls.stop()
        if isinstance(why, exceptions.LeaseLost):
            raise why
        # Who has helpers looks first at how much to take.
        alone = why is None and not self._has_helpers()
        self.record.done((LEFT, FREE) if alone else (), calls.stop)
        if why is not None:
            raise why

    def _await_helpers(self, calls: child.Callbacks) -> None:
        """Wait a moment for what helpers write."""
        if (why := calls.stop()) is not None:
            raise why
        calls.progress(self.record.todo.part_done())
        time.sleep(_LOOK)

    def _take_back(self, calls: child.Callbacks) -> None:
        """Take back what helpers have that are not there any more."""
        gone = self._gone()
        if gone:
            LOG.warning(
                'Image %s: %d of those who help with its raw copy are not '
                'heard of any more; what they had is written anew',
                self.image_id,
                len(gone),
            )
            self.record.change(lambda found: found.take_back(gone), calls.stop)

    def _gone(self) -> frozenset[str]:
        """Helpers that have slices, and are not there any more."""
        ioctx, rbd_id = self.pool.ioctx, self.record.rbd_id
        names = self.record.todo.workers() - {self.record.name}
        try:
            gone = {n for n in names if not crew.is_there(ioctx, rbd_id, n)}
            if gone:
                # One that has left had done, or given back, what it had.
                self.record.look()
        except exceptions.CephUnavailable as exc:
            LOG.info('Cannot tell whether helpers are there: %s', exc)
            return frozenset()
        return self.record.todo.workers() & gone
