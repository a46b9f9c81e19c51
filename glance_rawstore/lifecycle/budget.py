# SPDX-License-Identifier: Apache-2.0
"""How much the copies of a raw store may use, and do. Core: pure.

All in bytes, as a guest would write them: before replication, and of the
copies alone, not of what else lies in the raw pool.
"""

import dataclasses
import json
from collections.abc import Iterable
from typing import Protocol, TypeVar


@dataclasses.dataclass(frozen=True)
class Limits:
    """What the operator allows.

    :param bytes: the limit; 0 for none
    :param percent: the limit, of what the pool can hold; 0 for none
    :param high: watermark above which copies are evicted, in percent of the
        limit
    :param low: watermark at which that ends, in percent of the limit
    """

    bytes: int = 0
    percent: int = 0
    high: int = 95
    low: int = 80

    @property
    def limited(self) -> bool:
        """Whether there is a limit at all."""
        return bool(self.bytes or self.percent)

    def wrong(self) -> str | None:
        """What cannot be meant, as a sentence; None when all is well."""
        if self.bytes < 0:
            return 'raw_cache_budget must not be negative.'
        if not 0 <= self.percent <= 100:
            return 'raw_cache_budget_percent must be 0 to 100.'
        if not 0 < self.low < self.high <= 100:
            return (
                f'raw_cache_low_watermark ({self.low}) must be above 0 and '
                f'below raw_cache_high_watermark ({self.high}), and that not '
                'above 100.'
            )
        return None

    def limit(self, capacity: int) -> int:
        """The limit in bytes: the smaller one, where there are two.

        :param capacity: what the pool can hold, in bytes; of no matter
            without ``percent``
        """
        both = [self.bytes] if self.bytes else []
        if self.percent:
            both.append(capacity * self.percent // 100)
        return min(both)


@dataclasses.dataclass(frozen=True)
class Entry:
    """What one copy counts.

    :param bytes: what it uses, or is expected to
    :param reserved: it is being made, or was begun
    """

    image_id: str
    bytes: int
    reserved: bool


def encode(entry: Entry) -> bytes:
    """As it lies in Ceph: JSON."""
    return json.dumps(dataclasses.asdict(entry), sort_keys=True).encode()


def decode(data: bytes) -> Entry | None:
    """Read what :func:`encode` wrote; None for anything else."""
    try:
        read = json.loads(data)
        found = Entry(
            image_id=str(read['image_id']),
            bytes=int(read['bytes']),
            reserved=bool(read['reserved']),
        )
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
    return found if found.bytes >= 0 else None


@dataclasses.dataclass(frozen=True)
class Budget:
    """A budget, and what is used of it.

    :param limit: None without one; ``high`` and ``low`` are 0 then
    :param high: the watermark above which copies are evicted
    :param low: the watermark at which that ends
    :param used: by copies that are made, those in the trash included
    :param reserved: for copies that are being made
    """

    limit: int | None
    high: int
    low: int
    used: int
    reserved: int

    @property
    def taken(self) -> int:
        """Used and reserved."""
        return self.used + self.reserved

    @property
    def free(self) -> int:
        """What is left; 0 when there is too much already.

        :raises TypeError: there is no limit
        """
        if self.limit is None:
            raise TypeError('There is no limit.')
        return max(0, self.limit - self.taken)

    def lacking(self, needed: int) -> int:
        """How much must go before so much more fits; 0 when it does."""
        if self.limit is None:
            return 0
        return max(0, self.taken + needed - self.limit)

    def excess(self, needed: int = 0) -> int:
        """How much is to be evicted, so much more being wanted.

        None up to the high watermark; beyond, all that is above the low one.
        """
        if self.limit is None or self.taken + needed <= self.high:
            return 0
        return self.taken + needed - self.low


def summed(
    entries: Iterable[Entry], limits: Limits, capacity: int = 0
) -> Budget:
    """The budget with these copies.

    :param capacity: as for :meth:`Limits.limit`
    """
    used = reserved = 0
    for entry in entries:
        if entry.reserved:
            reserved += entry.bytes
        else:
            used += entry.bytes
    if not limits.limited:
        return Budget(None, 0, 0, used, reserved)
    limit = limits.limit(capacity)
    return Budget(
        limit,
        limit * limits.high // 100,
        limit * limits.low // 100,
        used,
        reserved,
    )


class Sized(Protocol):
    """What frees bytes when it goes."""

    @property
    def bytes_used(self) -> int: ...


_T = TypeVar('_T', bound=Sized)


def chosen(ranked: Iterable[_T], budget: Budget, needed: int = 0) -> list[_T]:
    """Which copies go: the first ones, down to the low watermark.

    None when even all of them would not make the room that is needed:
    nothing is thrown away for an image that does not get its copy.

    :param ranked: in the order in which to evict them; no more of them are
        taken than go
    :param needed: bytes for which room is to be made
    """
    going: list[_T] = []
    freed, excess = 0, budget.excess(needed)
    if excess:
        for copy in ranked:
            going.append(copy)
            freed += copy.bytes_used
            if freed >= excess:
                break
    if needed and freed < budget.lacking(needed):
        return []
    return going
