# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once in one raw pool, over all nodes.

Only where ``max_conversions_cluster`` says so. Who has a slot of his node
(:mod:`glance_rawstore.slots`), and nobody before, holds a shared lock with a
duration on one object, :data:`OBJECT`: first that of those who wait, then that
of those who run. So Ceph itself forgets the dead. The lock's cookie says for
which project it is, and a number larger than those of all who were there
before: clocks of nodes are not compared. :mod:`glance_rawstore.turns` says
whose turn it is, and one more lock, held for a moment, keeps two from taking
the same one.
"""

import contextlib
import logging
import uuid
from collections.abc import Callable, Iterator
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import turns
from glance_rawstore.options import Options

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.conversions'

_WAITING = 'glance_rawstore.waiting'
_RUNNING = 'glance_rawstore.running'
_TAKING = 'glance_rawstore.taking'
#: Seconds after which the lock of one that died while he took a turn runs
#: out.
_TAKEN_WITHIN = 10.0
#: Seconds between looks of those who are next, and of all others.
_NEXT = 0.25
_RETRY = 1.0


class Slots:
    """The slots of a raw pool.

    :param ioctx: open ``rados.Ioctx`` of the raw pool; used by a thread of
        each slot that is held or waited for
    :param count: how many there are
    :param duration: seconds after which that of a dead process is free
    """

    def __init__(self, ioctx: Any, count: int, duration: float) -> None:
        self._ioctx = ioctx
        self._count = count
        self._duration = duration

    @contextlib.contextmanager
    def slot(
        self,
        wait: Callable[[float], None],
        project: str = '',
        told: Callable[[int], None] = lambda before: None,
    ) -> Iterator[None]:
        """Hold a slot for as long as the context lasts.

        :param wait: sleeps that many seconds; ends the waiting by raising
        :param project: for whom; that of which least runs comes first
        :param told: is called before each wait with the number of those
            whose turn comes before
        :raises NoSpace: the pool is full, and nobody has converted before
        :raises CephUnavailable: the cluster does not answer
        """
        ticket = self._ticket(project)
        held = self._held(_WAITING, ticket)
        taken, before = None, 0
        try:
            while True:
                try:
                    taken, before = self._take(ticket)
                except exceptions.Blocklisted:
                    raise  # it will not be seen any more
                except exceptions.CephUnavailable as exc:
                    LOG.info('It cannot be seen whose turn it is: %s', exc)
                if taken is not None:
                    break
                told(before)
                wait(_NEXT if before < self._count else _RETRY)
        finally:
            held.release()
        try:
            yield
        finally:
            taken.release()

    def at_once(self, project: str = '') -> lease.Shared | None:
        """A slot that is free, and that nobody waits for; None without one.

        :returns: to be released when it is not needed any more
        :raises RawStoreError: as :meth:`slot`
        """
        if self._there(_WAITING):
            return None
        return self._take(self._ticket(project))[0]

    def wanted(self) -> bool:
        """Whether somebody waits for a slot.

        :raises CephUnavailable: the cluster does not answer
        """
        return bool(self._there(_WAITING))

    def _ticket(self, project: str) -> turns.Ticket:
        """One that comes after all who are there."""
        there = (*self._there(_WAITING), *self._there(_RUNNING))
        number = 1 + max((int(found.arrived) for found in there), default=0)
        digest = turns.digest(project)
        return _read(f'{number}-{digest}-{uuid.uuid4().hex}')

    def _there(self, name: str) -> list[turns.Ticket]:
        """Those who wait, or run; the dead have run out."""
        return [_read(c) for c in lease.cookies(self._ioctx, OBJECT, name)]

    def _place(self, ticket: turns.Ticket) -> tuple[int, int]:
        """How many begin before one that waits, and how many slots are free.

        It is its turn when there are more slots than others before it.
        """
        running = [found.project for found in self._there(_RUNNING)]
        # Its own lock may have run out while the cluster was away.
        line = turns.order({*self._there(_WAITING), ticket}, running)
        return line.index(ticket), self._count - len(running)

    def _take(self, ticket: turns.Ticket) -> tuple[lease.Shared | None, int]:
        """Take a turn, if it is ours, and nobody else takes his just now.

        :returns: the slot, and how many come before us if there is none
        """
        before, free = self._place(ticket)
        if before >= free:
            return None, before
        taking = lease.Lock(
            self._ioctx, OBJECT, _TAKING, _TAKEN_WITHIN, 'taking a turn'
        )
        try:
            taking.acquire()
        except exceptions.LeaseHeld:
            return None, before
        try:
            before, free = self._place(ticket)
            if before < free and taking.confirm():
                return self._held(_RUNNING, ticket), 0
        finally:
            taking.release()
        return None, before

    def _held(self, name: str, ticket: turns.Ticket) -> lease.Shared:
        held = lease.Shared(
            self._ioctx,
            OBJECT,
            name,
            self._duration,
            'glance-rawstore conversion',
            ticket.key,
        )
        held.acquire()
        return held


def limited(ioctx: Any, options: Options) -> Slots | None:
    """The slots of a raw pool, if it has a limited number of them.

    :param ioctx: as for :class:`Slots`
    """
    if not options.max_cluster:
        return None
    return Slots(ioctx, options.max_cluster, options.lease_duration)


def _read(cookie: str) -> turns.Ticket:
    number, project, _ = cookie.split('-')
    return turns.Ticket(cookie, project, int(number), int(number))
