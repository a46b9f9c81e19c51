# SPDX-License-Identifier: Apache-2.0
"""Note in Ceph how far a conversion is, without holding it up."""

import contextlib
import logging
from collections.abc import Callable, Iterator

from glance_rawstore import periodic

#: Seconds between two notes.
INTERVAL = 2.0
#: Seconds that a note under way is waited for: a cluster that is away gives
#: no answer.
_PATIENCE = 5.0


class _Percent:
    """Notes the percent done, if it has changed."""

    def __init__(self, note: Callable[[int], None]) -> None:
        self._note = note
        self._done = 0.0
        self._noted: int | None = None

    def update(self, done: float) -> None:
        self._done = done

    def __call__(self) -> None:
        percent = int(self._done * 100)
        if percent != self._noted:
            self._note(percent)
            self._noted = percent


@contextlib.contextmanager
def noting(note: Callable[[int], None]) -> Iterator[Callable[[float], None]]:
    """Note the percent done every :data:`INTERVAL`, if it has changed.

    :param note: called with whole percents, 0 to 100, from a thread of its
        own; nothing depends on it, so its errors are for debugging only
    :returns: context manager of what takes the part done, 0.0 to 1.0, and
        never blocks
    """
    percent = _Percent(note)
    with periodic.every(INTERVAL, percent, _PATIENCE, logging.DEBUG):
        yield percent.update
