# SPDX-License-Identifier: Apache-2.0
"""What the copies of a raw pool count, kept where every node sees it.

One object, :data:`OBJECT`, with an entry in its omap for each copy, by the
internal id of its RBD image: what is being made counts what is reserved for
it, all else the bytes that it uses, until it is gone from the trash too. A
cache of what the headers of the images say: whoever reserves compares it with
the pool's own lists first. There is none without a limit.

Who reserves holds an exclusive lock on the same object, so that of two who
race for the last space one comes first.
"""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import omap
from glance_rawstore.inventory import Listed
from glance_rawstore.inventory import Listing
from glance_rawstore.lifecycle import budget
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.budget import Entry
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.rbd_pool import RbdPool

#: Name of the object, and of the lock on it.
OBJECT = 'glance_rawstore.budget'
#: Seconds after which the lock of a dead process runs out.
DURATION = 30

_TABLE = omap.Table(OBJECT)
#: Seconds between tries for the lock.
_RETRY = 0.25


@contextlib.contextmanager
def locked(ioctx: Any, wait: Callable[[float], None]) -> Iterator[lease.Lock]:
    """Be the only one to reserve, for as long as the context lasts.

    :param wait: sleeps that many seconds; ends the waiting by raising
    :raises NoSpace: the pool is full, and was never locked before
    :raises CephUnavailable: the cluster does not answer
    """
    taken = lease.Lock(ioctx, OBJECT, OBJECT, DURATION, 'glance-rawstore')
    while True:
        try:
            taken.acquire()
            break
        except exceptions.LeaseHeld:
            wait(_RETRY)
    try:
        yield taken
    finally:
        taken.release()


def entries(pool: RbdPool, here: Listing | None = None) -> dict[str, Entry]:
    """What each copy counts, by internal id: by the pool's own lists.

    Reads the header of a copy only where nothing is known of it. Writes
    nothing.

    :param here: these lists, where they were read already
    :raises CephUnavailable: the cluster does not answer
    """
    known = _known(pool.ioctx)
    return _true(pool, known, here or inventory.listing(pool))


def refresh(pool: RbdPool) -> dict[str, Entry]:
    """The same, and have it written down. For who holds the lock.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    known = _known(pool.ioctx)
    found = _true(pool, known, inventory.listing(pool))
    for rbd_id in known.keys() - found.keys():
        _TABLE.remove(pool.ioctx, rbd_id)
    changed = {
        rbd_id: budget.encode(entry)
        for rbd_id, entry in found.items()
        if known.get(rbd_id) != entry
    }
    _TABLE.write_all(pool.ioctx, changed)
    return found


def _known(ioctx: Any) -> dict[str, Entry | None]:
    """What is written down; None of what cannot be read."""
    found = _TABLE.read_all(ioctx)
    return {key: budget.decode(value) for key, value in found.items()}


def _true(
    pool: RbdPool, known: dict[str, Entry | None], here: Listing
) -> dict[str, Entry]:
    found = {}
    for copy in (*here.present, *here.trashed):
        entry = known.get(copy.rbd_id)
        if entry is None or (entry.reserved and not copy.part):
            entry = _counted(pool.ioctx, copy)
        if entry is not None:
            found[copy.rbd_id] = entry
    return found


def _counted(ioctx: Any, copy: Listed) -> Entry | None:
    """What its header says; None where there is nothing to count yet."""
    header = directory.header(ioctx, copy.rbd_id)
    if header is None or (copy.part and not header.size):
        return None
    if header.bytes_used is not None:
        return Entry(copy.image_id, header.bytes_used, reserved=False)
    data = None
    if copy.part:
        noted = directory.meta(ioctx, copy.rbd_id, raw_copy.META_SLICES)
        data = slices.decode(noted or '')
    count = header.size
    if data is not None:
        count = sum(each.data for each in data.slices)
    return Entry(copy.image_id, count, reserved=copy.part)


def put(ioctx: Any, rbd_id: str, entry: Entry) -> None:
    """Have a copy count that.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.write(ioctx, rbd_id, budget.encode(entry))


def release(ioctx: Any, rbd_id: str) -> None:
    """Have a copy that is gone count no more; accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.remove(ioctx, rbd_id)


def summed(pool: RbdPool, limits: Limits, counted: dict[str, Entry]) -> Budget:
    """The budget with these copies.

    :raises CephUnavailable: the cluster does not answer
    """
    capacity = pool.capacity() if limits.percent else 0
    return budget.summed(counted.values(), limits, capacity)


def read(pool: RbdPool, limits: Limits, here: Listing | None = None) -> Budget:
    """The budget of a raw store, and what is used of it now.

    Costs a few operations where there is a limit, otherwise one more for
    each copy.

    :param here: as for :func:`entries`
    :raises CephUnavailable: the cluster does not answer
    """
    return summed(pool, limits, entries(pool, here))
