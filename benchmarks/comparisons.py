# SPDX-License-Identifier: Apache-2.0
"""One measurement set against another, or against a bound."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any


@dataclasses.dataclass(frozen=True)
class Comparison:
    """One measurement set against another, or against a bound.

    :param value: a ratio of medians, or bytes
    :param unit: '' for a ratio, else 'bytes'
    :param spread: least and largest ratio within one round
    :param at_most: to be reached; None if there is no such target
    :param at_least: likewise
    """

    what: str
    image: str
    value: float = 0.0
    unit: str = ''
    spread: tuple[float, float] | None = None
    at_most: float | None = None
    at_least: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the target is reached; None if there is none."""
        if self.at_most is not None:
            return self.value <= self.at_most
        if self.at_least is not None:
            return self.value >= self.at_least
        return None

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        found = {
            key: value
            for key, value in dataclasses.asdict(self).items()
            if value is not None
        }
        return {**found, 'value': round(self.value, 4), 'met': self.met}


def within(
    above: Sequence[float], below: Sequence[float]
) -> tuple[float, float]:
    """Return the least and the largest ratio within one round."""
    ratios = [a / b for a, b in zip(above, below, strict=True)]
    return min(ratios), max(ratios)
