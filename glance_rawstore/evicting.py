# SPDX-License-Identifier: Apache-2.0
"""Evict copies, so that a raw store keeps to its budget.

The steps for one copy, of which each may be the last that its process does:
the eviction is noted, the location goes, the copy is moved to the trash and
removed from there. Whoever finds the note and the copy goes on
(:mod:`glance_rawstore.agent.evictions`).

A consumer that was shown a copy a moment ago may be about to clone it, and
nobody can tell. So a copy goes by way of the trash: who has cloned it before
keeps the clone, and the copy is removed with the last of them; who comes
after finds no copy, and takes the original.
"""

import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from glance_rawstore import budget
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import tally
from glance_rawstore import uses
from glance_rawstore import wishes
from glance_rawstore.eviction import loading
from glance_rawstore.eviction.base import Candidate
from glance_rawstore.eviction.base import Usage
from glance_rawstore.lifecycle import budget as arithmetic
from glance_rawstore.lifecycle import tally as counting
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.events import Event
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.uses import Use
from glance_rawstore.options import Options
from glance_rawstore.wording import size

LOG = logging.getLogger(__name__)

#: Called with an image's id, and why its copy is evicted, before it is.
Told = Callable[[str, str], None]


def log(image_id: str, why: str) -> None:
    """Tell the operator."""
    LOG.info('Image %s: its raw copy is evicted %s', image_id, why)


def take(
    catalog: Any,
    pool: raw_pool.RawPool,
    store: str,
    image_id: str,
    eviction: Evicted,
) -> bool:
    """Take a copy away, count that, and notify of it.

    The eviction is noted before, or its copy would be made again.

    :param catalog: Glance's side
    :param store: name of the raw store
    :returns: whether it is gone; else it waits in the trash for its last
        clone
    :raises CephUnavailable: the cluster does not answer
    """
    catalog.remove_location(image_id, pool.url(image_id))
    gone = pool.delete_one(image_id, eviction.rbd_id)
    if gone:
        budget.release(pool.ioctx, eviction.rbd_id)
    tally.add(pool.ioctx, counting.evicted(eviction.policy, eviction.bytes))
    catalog.tell(
        Event.EVICT,
        image_id,
        store,
        policy=eviction.policy,
        bytes_used=eviction.bytes,
        in_use=not gone,
    )
    return gone


class _Busy(Exception):
    """Another one has the budget locked."""


def _no_waiting(_seconds: float) -> None:
    raise _Busy


class Evictor:
    """Evicts copies of one raw store.

    :param catalog: Glance's side
    :param pool: the raw pool
    :param options: those of the raw store
    :param told: called with each copy that is evicted
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        catalog: Any,
        pool: raw_pool.RawPool,
        options: Options,
        told: Told = log,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._options = options
        self._told = told
        self._clock = clock

    def make_room(self, now: Budget, needed: int) -> None:
        """Evict down to the low watermark, for so many bytes more.

        Nothing, when that would not make room enough. For who has the budget
        locked; never fails: at worst there is as little room as before.

        :param now: the budget, without what is needed
        """
        try:
            self._evict_some(now, needed)
        except Exception:
            LOG.exception('Evicting raw copies was given up')

    def relieve(self) -> None:
        """Evict down to the low watermark, if above the high one.

        And have what is written down of the budget put right. Nothing where
        somebody else is at it, or there is no limit.

        :raises NoSpace: the pool is full, and had no budget before
        :raises CephUnavailable: the cluster does not answer
        """
        limits = self._options.budget
        if not limits.limited:
            return
        try:
            with budget.locked(self._pool.ioctx, _no_waiting):
                evicted.prepare(self._pool.ioctx)
                counted = budget.refresh(self._pool)
                now = budget.summed(self._pool, limits, counted)
                if now.excess():
                    self.make_room(now, 0)
        except _Busy:
            LOG.debug('The budget is locked by somebody else')

    def due(self) -> list[tuple[str, str]]:
        """What :meth:`relieve` would evict: ids of images, and why.

        :raises CephUnavailable: the cluster does not answer
        """
        limits = self._options.budget
        now = budget.read(self._pool, limits)
        if not now.excess():
            return []
        going = self._chosen(self._ranked(now), now)
        return [(copy.image_id, self._why(copy, now)) for copy in going]

    def _why(self, copy: Candidate, now: Budget) -> str:
        return (
            f'by the policy {self._options.eviction_policy}: it uses '
            f'{size(copy.bytes_used)}; {size(now.taken)} of '
            f'{size(now.limit or 0)} were taken'
        )

    def _evict_some(self, now: Budget, needed: int) -> None:
        ranked = self._ranked(now)
        going = self._chosen(ranked, now, needed)
        if not going:
            LOG.log(
                logging.WARNING if now.lacking(needed) else logging.INFO,
                'Raw copies: %s of %s are taken, %s more are wanted, and '
                'nothing is evicted: too few of the %d copies that the policy '
                '%s gives up are neither in use nor protected',
                size(now.taken),
                size(now.limit or 0),
                size(needed),
                len(ranked),
                self._options.eviction_policy,
            )
            return
        # Some may be cloned just now; others go in their place.
        others = ranked[ranked.index(going[-1]) + 1 :]
        freed, excess = 0, now.excess(needed)
        for copy in itertools.chain(going, filter(self._may_go, others)):
            if freed >= excess:
                return
            if self._evict(copy, self._why(copy, now)):
                freed += copy.bytes_used

    def _chosen(
        self, ranked: Iterable[Candidate], now: Budget, needed: int = 0
    ) -> list[Candidate]:
        """The copies that go. Only as many are looked at as need be."""
        return arithmetic.chosen(filter(self._may_go, ranked), now, needed)

    def _ranked(self, now: Budget) -> Sequence[Candidate]:
        """Copies in the order in which the policy would have them go."""
        options = self._options
        policy = loading.load(options.eviction_policy, options.use_half_life)
        offered = list(self._candidates())
        usage = Usage(now.taken, now.limit or 0, now.high, now.low)
        ranked = policy.rank(offered, usage, self._clock())
        # Whatever somebody's own policy has come up with.
        allowed = set(offered)
        return [copy for copy in dict.fromkeys(ranked) if copy in allowed]

    def _candidates(self) -> Iterator[Candidate]:
        """Every active copy that would free something.

        One small read for each; those that must not go are found out when it
        is their turn.
        """
        ioctx = self._pool.ioctx
        used = uses.read_all(ioctx)
        here = inventory.listing(self._pool)
        counted = budget.entries(self._pool, here)
        for copy in here.active:
            entry = counted.get(copy.rbd_id)
            created = directory.created(ioctx, copy.rbd_id)
            if entry is None or created is None or not entry.bytes:
                continue
            use = used.get(copy.image_id, Use())
            yield Candidate(
                image_id=copy.image_id,
                rbd_id=copy.rbd_id,
                bytes_used=entry.bytes,
                created=created,
                last_used=use.last,
                score=use.score,
                scored_at=use.at,
            )

    def _may_go(self, copy: Candidate) -> bool:
        """Whether a copy may be evicted now.

        Not while there are clones: it would free nothing. Not that of an
        image which Glance does not have: that is for the reconciler to judge.
        Nor while its maker has not let go of it, nor what cannot be opened.
        """
        try:
            if self._pool.in_use(copy.rbd_id):
                return False
        except exceptions.Damaged:
            return False
        image = self._catalog.image(copy.image_id)
        if image is None or wishes.protected(image.properties):
            return False
        return not lease.held(self._pool.ioctx, copy.rbd_id)

    def _evict(self, copy: Candidate, why: str) -> bool:
        """Evict one copy; False when it must not go any more."""
        ioctx, image_id = self._pool.ioctx, copy.image_id
        name = self._options.eviction_policy
        noted = Evicted(self._clock(), name, copy.bytes_used, copy.rbd_id)
        evicted.note(ioctx, image_id, noted)
        # Things may have changed while others were evicted.
        if not self._may_go(copy):
            evicted.forget(ioctx, image_id)
            return False
        self._told(image_id, why)
        return take(
            self._catalog, self._pool, self._options.store, image_id, noted
        )
