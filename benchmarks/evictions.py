# SPDX-License-Identifier: Apache-2.0
"""How many uses find a copy, by eviction policy: a simulation.

Nothing is timed, and nothing runs but the functions that decide.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

from benchmarks import accesses
from benchmarks import caching
from benchmarks import foresight
from benchmarks.accesses import DAY
from benchmarks.accesses import HOUR
from benchmarks.accesses import Trace
from glance_rawstore.eviction import loading

#: Budgets, in percent of what copies of all images would use.
BUDGETS = (5, 10, 20, 40)
#: Median seconds for which clones live; 0 for flattened ones.
LIVES = {'for hours': 6 * HOUR, 'flattened': 0.0}
#: Half-lives of a use that are tried, in days; the first one is the default.
HALF_LIVES = (3, 1, 7, 30)
#: Share of the time after which uses count: the pool is full by then.
WARM_UP = 0.25

#: Rows that know the future.
BELADY, BELADY_SIZES, BOUND = (
    "Belady's rule",
    "Belady's rule, with sizes",
    'no policy exceeds',
)


@dataclasses.dataclass(frozen=True)
class Ratio:
    """What one policy reaches.

    :param clones: how long they live, in words
    :param budget: in percent of what copies of all images would use
    :param hits: ratio
    :param bytes: the same, weighed by size; None where it is not known
    :param evictions: None where there are none
    """

    policy: str
    clones: str
    budget: int
    hits: float
    bytes: float | None = None
    evictions: int | None = None
    refused: int | None = None


def measure(say: Callable[[str], None], seed: int = 1) -> list[Ratio]:
    """Let the traces go by every policy.

    :param say: is told what is done
    """
    found = []
    for clones, life in LIVES.items():
        trace = accesses.make(seed, median_life=life)
        for percent in BUDGETS:
            say(f'evictions: clones {clones}, budget {percent} %')
            found += list(_all(trace, clones, percent))
    return found


def _all(trace: Trace, clones: str, percent: int) -> Iterator[Ratio]:
    limit = trace.size * percent // 100
    counted = trace.end * WARM_UP
    for name, rank, half_life in _ranks(trace):
        outcome = caching.run(trace, limit, rank, half_life, counted)
        yield Ratio(
            name,
            clones,
            percent,
            outcome.ratio,
            outcome.byte_ratio,
            outcome.evictions,
            outcome.refused,
        )
    most = foresight.bound(trace, limit, counted)
    yield Ratio(BOUND, clones, percent, most)


def _ranks(trace: Trace) -> Iterator[tuple[str, caching.Rank, float]]:
    usual = HALF_LIVES[0] * DAY
    for name in ('never', 'oldest', 'lru'):
        yield name, loading.load(name, usual).rank, usual
    for days in HALF_LIVES:
        half_life = days * DAY
        policy = loading.load('popularity', half_life)
        yield f'popularity, {days} d', policy.rank, half_life
    yield BELADY, foresight.belady(trace), usual
    yield BELADY_SIZES, foresight.belady_with_sizes(trace), usual
