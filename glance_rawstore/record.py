# SPDX-License-Identifier: Apache-2.0
"""What has become of each slice of a ``.part``, as it is kept with it.

It lies in the image-meta of the ``.part``, beside the name of the worker who
makes the copy, and is changed only by operations that compare both with what
they were: so two workers never take one slice, and nothing is believed of one
that was shut out. A change whose answer was lost is either seen at the next
look, or fails if it arrives after any other change.
"""

import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import LEFT
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.lifecycle.slices import Taken

LOG = logging.getLogger(__name__)

#: Seconds between tries when the cluster does not answer.
_AGAIN = 1.0

Stop = Callable[[], Exception | None]


def read(pool: raw_pool.RawPool, rbd_id: str) -> tuple[str, str]:
    """Who makes a ``.part``, and what is kept of its slices.

    Nothing of either where it is gone.

    :raises CephUnavailable: the cluster does not answer
    """
    keys = (raw_copy.META_WORKER, raw_copy.META_SLICES)
    found = directory.metas(pool.ioctx, rbd_id, keys)
    return found.get(keys[0], ''), found.get(keys[1], '')


class Record:
    """The slices of one ``.part``, for one of its workers.

    :param owner: name of the worker who makes the copy: the cookie of its
        lease
    :param name: of this worker; the owner's where it is that
    :param source: tells the original from any other; empty where nobody
        shall go on with it
    :param patience: seconds for which it may insist while the cluster does
        not answer

    :ivar slices: as they were seen last; None until they have been measured
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        rbd_id: str,
        owner: str,
        source: str,
        name: str = '',
        patience: float = 300.0,
    ) -> None:
        self._pool = pool
        self.rbd_id = rbd_id
        self.owner = owner
        self.name = name or owner
        self.source = source
        self._patience = patience
        self._lock = threading.Lock()
        self._text = ''
        self.slices: Slices | None = None

    @property
    def todo(self) -> Slices:
        """What is done and what is left, once it has been measured."""
        if self.slices is None:
            raise RuntimeError('It has not been measured.')
        return self.slices

    def look(self) -> None:
        """See what others have done.

        :raises LeaseLost: another worker makes the copy now
        :raises Cancelled: it was deleted meanwhile
        :raises CephUnavailable: the cluster does not answer
        """
        worker, text = read(self._pool, self.rbd_id)
        if not worker:
            raise exceptions.Cancelled()
        if worker != self.owner:
            raise exceptions.LeaseLost()
        if text or self.name != self.owner:
            self._see(text)

    def _see(self, text: str) -> None:
        found = slices.decode(text)
        if found is None:
            raise exceptions.LeaseLost()  # it is committed, or not ours
        with self._lock:
            # Another thread may have seen what came later.
            if found.turn >= self._turn():
                self._text, self.slices = text, found

    def _turn(self) -> int:
        return -1 if self.slices is None else self.slices.turn

    def begin(self, cut: tuple[Slice, ...]) -> None:
        """Keep the slices of a new ``.part``, and take the first.

        :raises LeaseLost: another worker makes the copy now
        :raises Cancelled: it was deleted meanwhile
        """
        fresh = Slices(self.source, cut).take(self.name, (FREE,))
        if not self._write(fresh, ''):
            self.look()
            raise exceptions.LeaseLost()

    def adopt(self) -> None:
        """Go on with what a former worker has left, once that is shut out.

        What it or its helpers had taken was half-done.

        :raises LeaseLost: another worker makes the copy now
        :raises Cancelled: it was deleted meanwhile
        """
        self.look()
        self.change(
            lambda found: found.take_back(found.workers()), always=True
        )

    def identify(self, source: str) -> None:
        """Tell what it is made from, once that is known.

        From then on another worker can go on with it.

        :raises LeaseLost: another worker makes the copy now
        :raises Cancelled: it was deleted meanwhile
        """
        self.source = source
        if self.slices is None:
            return
        try:
            self.change(lambda found: found, always=True)
        except exceptions.CephUnavailable as exc:
            LOG.warning('What a copy is made from was not noted: %s', exc)

    def take(
        self,
        states: Collection[str] = (LEFT, FREE),
        most: int = 0,
        stop: Stop | None = None,
    ) -> Taken | None:
        """Take a slice; None when there is none to be had.

        :param states: of which it may be
        :param most: workers there may be; 0 for any number
        :param stop: see :meth:`change`
        """

        def take(found: Slices) -> Slices:
            if found.has(self.name) is not None:
                return found  # the answer to an earlier try was lost
            if most and len(found.workers()) >= most:
                return found
            return found.take(self.name, states)

        return self.change(take, stop).has(self.name)

    def done(
        self, take: Collection[str] = (), stop: Stop | None = None
    ) -> None:
        """Note that what we have taken is done, and take another one.

        :param take: states of which it may be; none to take none
        :param stop: see :meth:`change`
        :raises LeaseLost: it is not ours any more, and not done
        """
        taken = self.todo.has(self.name)
        if taken is None:
            raise exceptions.LeaseLost()
        mine = taken.slice

        def finish(found: Slices) -> Slices:
            now = found.has(self.name)
            if now is None or now.slice != mine:
                return found
            return found.finish(self.name).take(self.name, take)

        self.change(finish, stop)
        if mine in self.todo.left():
            raise exceptions.LeaseLost()

    def give_back(self) -> None:
        """Leave what we have taken to others."""
        self.change(lambda found: found.give_back(self.name))

    def change(
        self,
        step: Callable[[Slices], Slices],
        stop: Stop | None = None,
        always: bool = False,
    ) -> Slices:
        """Change the slices in one step, whatever others do meanwhile.

        :param step: gives what they shall be, of what they are, or were
            when we looked last: then nothing is done if it changes nothing.
            It may be asked again, after it was done
        :param stop: insist while the cluster does not answer, until this
            gives a reason to stop
        :param always: also when nothing is different
        :returns: what they are now
        :raises LeaseLost: another worker makes the copy now
        :raises Cancelled: it was deleted meanwhile
        """
        until = time.monotonic() + self._patience
        while True:
            try:
                with self._lock:
                    text, known = self._text, self.todo
                after = step(known)
                if after == known and not always:
                    return known
                if self._write(after, text):
                    return self.todo
                self.look()
                if self._text == text:
                    raise exceptions.LeaseLost()  # it is kept no more
            except exceptions.CephUnavailable:
                if stop is None or time.monotonic() > until:
                    raise
                if (why := stop()) is not None:
                    raise why from None
                time.sleep(_AGAIN)

    def _write(self, after: Slices, before: str) -> bool:
        """Write it, if nobody has changed what it was made of."""
        after = dataclasses.replace(
            after, source=self.source, owner=self.owner, turn=after.turn + 1
        )
        text = slices.encode(after)
        compared = {
            raw_copy.META_WORKER: self.owner,
            raw_copy.META_SLICES: before,
        }
        wanted = {raw_copy.META_SLICES: text}
        ioctx = self._pool.ioctx
        try:
            written = directory.change_metas(
                ioctx, self.rbd_id, compared, wanted
            )
        except exceptions.NotFound as exc:
            raise exceptions.Cancelled() from exc
        if written:
            self._see(text)
        return written
