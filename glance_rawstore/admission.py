# SPDX-License-Identifier: Apache-2.0
"""Let a copy be made, or refuse it: is there room for it?"""

import contextlib
import dataclasses
import logging
from collections.abc import Callable

from glance_rawstore import budget
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.budget import Entry
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.rbd_pool import RbdPool
from glance_rawstore.wording import size

LOG = logging.getLogger(__name__)

#: Makes room in a budget for so many bytes, if it can, while the budget is
#: locked.
Evict = Callable[[Budget, int], None]


def nobody(_budget: Budget, _needed: int) -> None:
    """Evict nothing."""


@dataclasses.dataclass(frozen=True)
class Claim:
    """What a copy is expected to use, in bytes.

    :param rbd_id: internal id of the ``.part``, which is there
    :param needed: the original's data, as qemu-img measures it; of a format
        that does not tell where its data is, all of the disk. No more is
        written, but a copy counts its objects up to their last byte: some
        percent more, where there are holes in them.
    :param done: of these, what a former worker has written already
    :param most: the virtual size
    """

    image_id: str
    rbd_id: str
    needed: int
    done: int
    most: int

    def __str__(self) -> str:
        return f'{size(self.needed)} ({size(self.most)} at most)'


def admit(
    pool: RbdPool,
    limits: Limits,
    claim: Claim,
    evict: Evict,
    wait: Callable[[float], None],
) -> None:
    """Reserve room for a copy; that of others is evicted if need be.

    A few MiB of qcow2 may stand for TiBs of data, its clusters being shared,
    so what will be written is compared with what is free, with or without a
    limit.

    :param wait: sleeps that many seconds, while others reserve; ends the
        waiting by raising
    :raises NoSpace: there is more data than free space
    :raises OverBudget: there is more than what is left of the budget
    """
    _check_free(pool, claim)
    if not limits.limited:
        return
    with budget.locked(pool.ioctx, wait) as lock:
        now = _without(pool, limits, claim)
        if now.excess(claim.needed):
            evict(now, claim.needed)
            now = _without(pool, limits, claim)
        if now.lacking(claim.needed):
            raise exceptions.OverBudget(_refusal(claim, now))
        _reserve(pool, claim, lock)
    LOG.info(
        'Image %s: %s reserved for its raw copy; %s of %s are taken',
        claim.image_id,
        size(claim.needed),
        size(now.taken + claim.needed),
        size(now.limit or 0),
    )


def _check_free(pool: RbdPool, claim: Claim) -> None:
    free = pool.available()
    if claim.needed - claim.done > free:
        raise exceptions.NoSpace(
            f'The raw copy needs {claim}, and {size(free)} are free in the '
            'storage cluster.'
        )


def _without(pool: RbdPool, limits: Limits, claim: Claim) -> Budget:
    """The budget without what was reserved for this copy before."""
    others = budget.refresh(pool)
    others.pop(claim.rbd_id, None)
    return budget.summed(pool, limits, others)


def _refusal(claim: Claim, now: Budget) -> str:
    return (
        f'The raw copy needs {claim}. Of the budget for raw copies, '
        f'{size(now.limit or 0)}, {size(now.free)} are free, and nothing '
        'that could be evicted would make enough room. An operator can raise '
        'raw_cache_budget or delete other copies.'
    )


def _reserve(pool: RbdPool, claim: Claim, lock: lease.Lock) -> None:
    # What was evicted may have taken longer than the lock lasts without Ceph.
    if not lock.confirm():
        raise exceptions.CephUnavailable()
    entry = Entry(claim.image_id, claim.needed, reserved=True)
    budget.put(pool.ioctx, claim.rbd_id, entry)


def settle(
    pool: RbdPool, limits: Limits, image_id: str, rbd_id: str, used: int
) -> None:
    """Have a copy that is made count what it uses, and as not evicted.

    Fails nothing: what is not written now is seen by who looks next.

    :param used: bytes
    """
    with contextlib.suppress(exceptions.RawStoreError):
        evicted.forget(pool.ioctx, image_id)
    if limits.limited:
        with contextlib.suppress(exceptions.RawStoreError):
            entry = Entry(image_id, used, reserved=False)
            budget.put(pool.ioctx, rbd_id, entry)


def withdraw(pool: RbdPool, limits: Limits, rbd_id: str) -> None:
    """Have a copy that was given up count no more.

    What of it is still in the trash is seen by who reserves next, and counts
    until it is gone. Fails nothing.
    """
    if limits.limited:
        with contextlib.suppress(exceptions.RawStoreError):
            budget.release(pool.ioctx, rbd_id)
