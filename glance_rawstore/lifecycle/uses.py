# SPDX-License-Identifier: Apache-2.0
"""How often, and when last, a copy was handed to a consumer. Core: pure.

A use weighs 1 when it happens and half of that one half-life later, so that
a score is a number of uses of which the old ones count for less, and needs
no history: the score of one time gives that of any later one. All times are
in seconds since the epoch, by the clocks of the nodes of the API.
"""

import dataclasses
import json
import math
from typing import Any


@dataclasses.dataclass(frozen=True)
class Use:
    """What is known of the uses of one image's copy.

    :param last: when a copy was last handed to a consumer; None for never
    :param score: decayed number of uses
    :param at: the time for which the score holds
    :param asked: when a consumer last asked for an image whose copy was
        evicted; None for never
    """

    last: float | None = None
    score: float = 0.0
    at: float = 0.0
    asked: float | None = None


@dataclasses.dataclass(frozen=True)
class Count:
    """What has happened since it was last written down.

    :param uses: how often a copy was handed out
    :param last: when the last time; None for never
    :param asked: as for :class:`Use`
    """

    uses: int = 0
    last: float | None = None
    asked: float | None = None

    def __add__(self, other: 'Count') -> 'Count':
        """Both together."""
        return Count(
            self.uses + other.uses,
            _latest(self.last, other.last),
            _latest(self.asked, other.asked),
        )


def _latest(one: float | None, other: float | None) -> float | None:
    return max((t for t in (one, other) if t is not None), default=None)


def decayed(score: float, age: float, half_life: float) -> float:
    """What a score is worth so much later.

    :param age: seconds; a score of the future (of a clock that is ahead) is
        worth what it is
    :param half_life: seconds
    """
    return score * math.pow(0.5, max(0.0, age) / half_life)


def added(known: Use | None, count: Count, half_life: float) -> Use:
    """What is known with what has happened since.

    Counts of several nodes give the same in any order, but for rounding.

    :param half_life: seconds
    """
    known = known or Use()
    score, at = known.score, known.at
    if count.uses and count.last is not None:
        at = max(known.at, count.last)
        score = decayed(known.score, at - known.at, half_life) + decayed(
            count.uses, at - count.last, half_life
        )
    return Use(
        last=_latest(known.last, count.last),
        score=score,
        at=at,
        asked=_latest(known.asked, count.asked),
    )


def encode(use: Use) -> bytes:
    """As it lies in Ceph: JSON, without what is not known."""
    known = {k: v for k, v in dataclasses.asdict(use).items() if v is not None}
    return json.dumps(known, sort_keys=True).encode()


def decode(data: bytes) -> Use | None:
    """Read what :func:`encode` wrote; None for anything else."""
    try:
        read = json.loads(data)
        use = Use(
            last=_time(read.get('last')),
            score=float(read['score']),
            at=float(read['at']),
            asked=_time(read.get('asked')),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
    numbers = (use.last, use.score, use.at, use.asked)
    if not all(n is None or (math.isfinite(n) and n >= 0) for n in numbers):
        return None
    return use


def _time(value: Any) -> float | None:
    return None if value is None else float(value)
