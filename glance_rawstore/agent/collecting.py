# SPDX-License-Identifier: Apache-2.0
"""See what there is in a raw pool, at little cost.

A few reads however many copies there are, and one more for each copy that is
new, is being made, or was deleted: what a committed copy uses does not
change, so it is read once.
"""

import datetime
from typing import Any

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import tally
from glance_rawstore.agent import sight
from glance_rawstore.agent.sight import Sight
from glance_rawstore.lifecycle import raw_copy
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
        active, parts, trash = _listed(pool)
        self._sizes = {
            rbd_id: size
            for rbd_id, size in self._sizes.items()
            if rbd_id in active or rbd_id in trash
        }
        pending = tuple(
            _pending(pool.ioctx, image_id, rbd_id)
            for rbd_id, image_id in parts.items()
        )
        at_work = frozenset(p.image_id for p in pending if p.attended)
        return Sight(
            active=len(active),
            active_bytes=sum(self._size(pool, rbd_id) for rbd_id in active),
            pending=pending,
            trashed=tuple(trash.values()),
            trashed_bytes=sum(self._size(pool, rbd_id) for rbd_id in trash),
            failing=sight.failing(
                attempts.read_all(pool.ioctx), at_work, self._retry_limit
            ),
            evicted=len(evicted.read_all(pool.ioctx)),
            budget=budget.read(pool, self._limits)
            if self._limits.limited
            else None,
            handed_over=len(handover.all_offered(pool.ioctx)),
            agents=handover.agents(pool.ioctx),
            tally=tally.read(pool.ioctx),
        )

    def _size(self, pool: raw_pool.RawPool, rbd_id: str) -> int:
        """Bytes that a committed copy uses, as its commit has noted."""
        if rbd_id not in self._sizes:
            header = directory.header(pool.ioctx, rbd_id)
            used = header.bytes_used if header else None
            self._sizes[rbd_id] = used or 0
        return self._sizes[rbd_id]


def _pending(ioctx: Any, image_id: str, rbd_id: str) -> sight.Pending:
    return sight.Pending(
        image_id,
        attended=lease.held(ioctx, rbd_id),
        created=directory.created(ioctx, rbd_id),
    )


def _listed(
    pool: raw_pool.RawPool,
) -> tuple[dict[str, str], dict[str, str], dict[str, sight.Trashed]]:
    """Active copies, ``.part`` and trashed ones, by internal id."""
    with ceph.translated():
        present = list(ceph.rbd.RBD().list2(pool.ioctx))
        gone = list(ceph.rbd.RBD().trash_list(pool.ioctx))
    active: dict[str, str] = {}
    parts: dict[str, str] = {}
    trash: dict[str, sight.Trashed] = {}
    for entry in gone:
        parsed = raw_copy.parse(entry['name'])
        if parsed is not None:
            deleted = entry['deletion_time'].replace(tzinfo=datetime.UTC)
            trash[entry['id']] = sight.Trashed(
                parsed[0], entry['id'], deleted.timestamp()
            )
    for entry in present:
        parsed = raw_copy.parse(entry['name'])
        # A killed client may leave a trashed one its name.
        if parsed is not None and entry['id'] not in trash:
            (parts if parsed[1] else active)[entry['id']] = parsed[0]
    return active, parts, trash
