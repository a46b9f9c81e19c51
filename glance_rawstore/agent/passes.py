# SPDX-License-Identifier: Apache-2.0
"""What an agent's processes tell of their passes, in memory they share.

Made before they are forked. Every figure has one writer, a process that is
started again goes on with them, and no lock can be left behind by one that is
killed.
"""

import ctypes
import dataclasses
import multiprocessing.sharedctypes
from collections.abc import Mapping
from typing import Any

RECONCILE = 'reconcile'
REAP = 'reap'
COLLECT = 'collect'
NAMES = (RECONCILE, REAP, COLLECT)

#: Figures of each pass: how many there were, how many failed, how long all
#: of them took, and when the last one ended well.
_FIELDS = 4
_QUEUED = len(NAMES) * _FIELDS


@dataclasses.dataclass(frozen=True)
class Pass:
    """All passes of one kind. Times in seconds.

    :param last_success: since the epoch; 0 before the first
    """

    count: float
    failures: float
    seconds: float
    last_success: float


class Passes:
    """The figures of one agent."""

    def __init__(self) -> None:
        cells = _QUEUED + 1
        self._cells: Any = multiprocessing.sharedctypes.RawArray(
            ctypes.c_double, cells
        )
        self._cells[_QUEUED] = float('nan')

    def ended(self, name: str, seconds: float, at: float | None) -> None:
        """Note a pass.

        :param at: when it ended, if it ended well
        """
        first = NAMES.index(name) * _FIELDS
        self._cells[first] += 1
        self._cells[first + 2] += seconds
        if at is None:
            self._cells[first + 1] += 1
        else:
            self._cells[first + 3] = at

    def read(self) -> Mapping[str, Pass]:
        """Of each kind."""
        return {
            name: Pass(*self._cells[place * _FIELDS : (place + 1) * _FIELDS])
            for place, name in enumerate(NAMES)
        }

    @property
    def queued(self) -> float:
        """Copies that are to be made; NaN until it is known."""
        return float(self._cells[_QUEUED])

    @queued.setter
    def queued(self, count: int) -> None:
        self._cells[_QUEUED] = count
