# SPDX-License-Identifier: Apache-2.0
"""See what there is in a raw pool, at little cost.

A few reads however many copies there are, and one more for each copy that is
new, is being made, or was deleted: what a committed copy uses does not
change, so it is read once.
"""

import time
from collections.abc import Iterable, Iterator

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import tally
from glance_rawstore.agent import plan
from glance_rawstore.agent import sight
from glance_rawstore.agent.sight import Sight
from glance_rawstore.inventory import Listed
from glance_rawstore.lifecycle.budget import Limits


class Collector:
    """Looks at one raw pool, again and again.

    :param retry_limit: ``retry_limit``
    :param limits: of its budget
    """

    def __init__(self, retry_limit: int, limits: Limits) -> None:
        self._retry_limit = retry_limit
        self._limits = limits
        self._sizes: dict[str, int] = {}

    def look(self, pool: raw_pool.RawPool) -> Sight:
        """What is there now.

        :raises CephUnavailable: the cluster does not answer
        """
        here = inventory.listing(pool)
        active = [copy.rbd_id for copy in here.active]
        trashed = [copy.rbd_id for copy in here.trashed]
        self._sizes = {
            rbd_id: self._size(pool, rbd_id) for rbd_id in active + trashed
        }
        pending = tuple(_pending(pool, here.parts))
        at_work = frozenset(p.image_id for p in pending if p.attended)
        tried = attempts.read_all(pool.ioctx)
        return Sight(
            active=len(active),
            active_bytes=sum(self._sizes[rbd_id] for rbd_id in active),
            pending=pending,
            trashed=tuple(map(_trashed, here.trashed)),
            trashed_bytes=sum(self._sizes[rbd_id] for rbd_id in trashed),
            failing=sight.failing(tried, at_work, self._retry_limit),
            evicted=len(evicted.read_all(pool.ioctx)),
            budget=budget.read(pool, self._limits, here)
            if self._limits.limited
            else None,
            handed_over=len(handover.all_offered(pool.ioctx)),
            agents=handover.agents(pool.ioctx),
            tally=tally.read(pool.ioctx),
        )

    def _size(self, pool: raw_pool.RawPool, rbd_id: str) -> int:
        """Bytes that a committed copy uses, as its commit has noted."""
        known = self._sizes.get(rbd_id)
        if known is not None:
            return known
        header = directory.header(pool.ioctx, rbd_id)
        return (header.bytes_used or 0) if header else 0


def _pending(
    pool: raw_pool.RawPool, parts: Iterable[Listed]
) -> Iterator[sight.Pending]:
    """Those that are there still, and who is at them.

    A commit gives up the lease; who has created one takes it a moment later.
    """
    for part in parts:
        created = directory.created(pool.ioctx, part.rbd_id)
        attended = lease.held(pool.ioctx, part.rbd_id)
        if not attended:
            if directory.id_of(pool.ioctx, part.name) != part.rbd_id:
                continue
            attended = plan.being_taken(created, time.time())
        yield sight.Pending(part.image_id, attended, created)


def _trashed(copy: Listed) -> sight.Trashed:
    return sight.Trashed(copy.image_id, copy.rbd_id, copy.deleted or 0.0)
