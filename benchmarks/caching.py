# SPDX-License-Identifier: Apache-2.0
"""A raw pool with a budget, as a trace of uses goes by.

What decides is ours: the policies, the watermarks, and the arithmetic of use
counts. The rest is the cloud that they meet: a copy is begun when its image
comes, or when a consumer has asked for one that was evicted or had no room;
it takes its time; and while a clone of it lives it is not evicted.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Callable, Sequence

from benchmarks.accesses import MINUTE
from benchmarks.accesses import Trace
from benchmarks.accesses import Use
from glance_rawstore.eviction.base import Candidate
from glance_rawstore.eviction.base import Usage
from glance_rawstore.lifecycle import budget
from glance_rawstore.lifecycle import uses

#: Ranks candidates by what is known at that time (seconds), as a policy does.
Rank = Callable[[Sequence[Candidate], Usage, float], Sequence[Candidate]]

#: Watermarks, in percent of the budget; those that are set by default.
HIGH, LOW = 95, 80
#: Seconds that a copy takes besides a second for so many bytes.
SETUP, SPEED = 5.0, 200 << 20
#: Seconds between two looks of the agent at the watermarks.
_PASS = 10 * MINUTE


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of the uses that count.

    :param hits: those that were given a clone
    :param hit_bytes: of the copies of those
    :param evictions: of the whole trace
    :param refused: copies for which there was no room
    """

    uses: int
    hits: int
    bytes: int
    hit_bytes: int
    evictions: int
    refused: int

    @property
    def ratio(self) -> float:
        """Of hits."""
        return self.hits / self.uses

    @property
    def byte_ratio(self) -> float:
        """Of hits, weighed by size."""
        return self.hit_bytes / self.bytes


@dataclasses.dataclass
class _Copy:
    """A copy that is there, or being made until ``ready``."""

    size: int
    ready: float
    clones: list[float] = dataclasses.field(default_factory=list)

    def living(self, now: float) -> int:
        """Clones that live."""
        while self.clones and self.clones[0] <= now:
            heapq.heappop(self.clones)
        return len(self.clones)


class Pool:
    """The raw pool.

    :param limit: the budget, in bytes
    :param half_life: of a use, in seconds
    """

    def __init__(
        self, trace: Trace, limit: int, rank: Rank, half_life: float
    ) -> None:
        self._trace = trace
        self._limits = budget.Limits(bytes=limit, high=HIGH, low=LOW)
        self._rank = rank
        self._half_life = half_life
        self._copies: dict[int, _Copy] = {}
        self._known: dict[int, uses.Use] = {}
        self._used = 0
        self._looked = 0.0
        self.evictions = 0
        self.refused = 0

    def come(self, image: int, now: float) -> None:
        """An image that wishes for a copy is there."""
        self._make(image, now)

    def use(self, use: Use) -> bool:
        """Whether somebody is given a clone; else the copy is asked for."""
        if use.at >= self._looked + _PASS:
            self._looked = use.at
            self._evict(use.at, 0)
        copy = self._copies.get(use.image)
        if copy is None:
            self._make(use.image, use.at)
            return False
        if copy.ready > use.at:
            return False
        heapq.heappush(copy.clones, use.at + use.life)
        self._known[use.image] = uses.added(
            self._known.get(use.image),
            uses.Count(1, last=use.at),
            self._half_life,
        )
        return True

    def _make(self, image: int, now: float) -> None:
        size = self._trace.images[image].size
        if not self._evict(now, size):
            self.refused += 1
            return
        self._used += size
        self._copies[image] = _Copy(size, now + SETUP + size / SPEED)

    def _evict(self, now: float, needed: int) -> bool:
        """Evict what is to go; whether there is room then."""
        state = self._state()
        if state.excess(needed):
            usage = Usage(
                self._used, self._limits.bytes, state.high, state.low
            )
            ranked = self._rank(self._candidates(now), usage, now)
            for victim in budget.chosen(ranked, state, needed):
                del self._copies[int(victim.rbd_id)]
                self._used -= victim.bytes_used
                self.evictions += 1
        return not self._state().lacking(needed)

    def _state(self) -> budget.Budget:
        entries = [budget.Entry('', self._used, False)]
        return budget.summed(entries, self._limits)

    def _candidates(self, now: float) -> list[Candidate]:
        found = []
        for number, copy in self._copies.items():
            if copy.ready > now or copy.living(now):
                continue
            known = self._known.get(number, uses.Use())
            found.append(
                Candidate(
                    image_id=self._trace.images[number].name,
                    rbd_id=str(number),
                    bytes_used=copy.size,
                    created=copy.ready,
                    last_used=known.last,
                    score=known.score,
                    scored_at=known.at,
                )
            )
        return found


def run(
    trace: Trace, limit: int, rank: Rank, half_life: float, counted: float
) -> Outcome:
    """Have a trace go by.

    :param limit: the budget, in bytes
    :param half_life: of a use, in seconds
    :param counted: from when on uses count, in seconds
    """
    pool = Pool(trace, limit, rank, half_life)
    coming = 0
    count = hits = size = hit_size = 0
    for use in trace.uses:
        while (
            coming < len(trace.images)
            and trace.images[coming].created <= use.at
        ):
            pool.come(coming, trace.images[coming].created)
            coming += 1
        hit = pool.use(use)
        if use.at >= counted:
            taken = trace.images[use.image].size
            count, size = count + 1, size + taken
            hits, hit_size = hits + hit, hit_size + taken * hit
    return Outcome(count, hits, size, hit_size, pool.evictions, pool.refused)
