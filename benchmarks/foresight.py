# SPDX-License-Identifier: Apache-2.0
"""What could be reached by who knew the future.

*Belady's rule*, to evict what is used again last of all, gives the most hits
possible where all copies are of one size, none is in use, and one goes for
each that comes. Here none of this holds, and the rule is but a good one: so
is the same with sizes, by bytes times seconds until the next use. What is
really optimal is not computable for a trace of any length; but :func:`bound`
is what no policy exceeds.
"""

from __future__ import annotations

import bisect
import collections
from collections.abc import Callable, Sequence

from benchmarks.accesses import Trace
from benchmarks.caching import Rank
from glance_rawstore.eviction.base import Candidate
from glance_rawstore.eviction.base import Usage


def _moments(trace: Trace) -> dict[int, list[float]]:
    """When each image is used, in seconds."""
    found: dict[int, list[float]] = collections.defaultdict(list)
    for use in trace.uses:
        found[use.image].append(use.at)
    return found


def belady(trace: Trace) -> Rank:
    """First what is used again last, whatever its size."""
    return _by(trace, lambda seconds, copy: seconds)


def belady_with_sizes(trace: Trace) -> Rank:
    """First what takes the most bytes for the longest time until its use."""
    return _by(trace, lambda seconds, copy: seconds * copy.bytes_used)


def _by(trace: Trace, cost: Callable[[float, Candidate], float]) -> Rank:
    moments = _moments(trace)

    def until_next(copy: Candidate, now: float) -> float:
        found = moments[int(copy.rbd_id)]
        index = bisect.bisect_right(found, now)
        return found[index] - now if index < len(found) else float('inf')

    def rank(
        candidates: Sequence[Candidate], usage: Usage, now: float
    ) -> list[Candidate]:
        del usage
        return sorted(
            candidates,
            key=lambda copy: cost(until_next(copy, now), copy),
            reverse=True,
        )

    return rank


def bound(trace: Trace, limit: int, counted: float) -> float:
    """A ratio of hits that no policy exceeds.

    A use can be a hit only if the copy was in the pool, or being made, ever
    since the use before it, or since the image came: so it costs its bytes
    times these seconds, and all hits together no more than the budget times
    the time that counts. The cheapest are taken, as if it did not matter when
    they take their space. (The lower bound PFOO-L of Berger, Beckmann and
    Harchol-Balter, "Practical Bounds on Optimal Caching with Variable Object
    Sizes", 2018, with seconds in place of requests.)

    :param limit: the budget, in bytes
    :param counted: from when on uses count, in seconds
    """
    costs = []
    for number, found in _moments(trace).items():
        image = trace.images[number]
        for before, at in zip([image.created, *found], found, strict=False):
            if at >= counted:
                costs.append(image.size * (at - max(before, counted)))
    left = limit * (trace.end - counted)
    hits = 0
    for cost in sorted(costs):
        left -= cost
        if left < 0:
            break
        hits += 1
    return hits / len(costs)
