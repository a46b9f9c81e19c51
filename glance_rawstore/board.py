# SPDX-License-Identifier: Apache-2.0
"""Who waits for a slot of this node, and which place each has.

A look reads a directory of tickets (:mod:`glance_rawstore.tickets`): 1 ms of a
core where 150 wait. They look up to 30 times a second, so those of one process
look together, and only when the directory has changed: it does whenever one
comes, begins, ends or goes. What changes without it is seen within a second:
that a process was killed, or does not look any more.
"""

import dataclasses
import functools
import math
import os
import threading
import time
from collections.abc import Collection

from glance_rawstore import tickets
from glance_rawstore import turns
from glance_rawstore.tickets import State

#: Nanoseconds after which one that has not looked is passed over. It lives,
#: but its process is stopped, or waits for a database that is away.
_ABSENT = 15 * 10**9
#: Seconds after which a look is repeated though nothing has changed.
_AGAIN = 1.0
#: The same where somebody else looked for too long.
_SOON = 0.1
#: Nanoseconds within which two changes may have the same time: that of the
#: kernel's tick, and some more.
_TICK = 20 * 10**6


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of all tickets.

    :param at: when, in ns since the epoch
    :param free: how many of those who wait may begin
    :param waiting: those who wait, by path
    :param before: how many come before each of them
    """

    at: int
    free: int
    waiting: dict[str, tickets.Seen]
    before: dict[str, int]


def see(directory: str, count: int, ours: Collection[str]) -> Seen:
    """Look, and have it noted that we have. Only for who is alone.

    :param count: how many slots there are
    :param ours: paths of tickets that wait, and whose holders look now
    """
    now = time.time_ns()
    found = tickets.found(directory)
    running, ending = under_way(found)
    waiting = {
        seen.path: seen
        for seen in found
        if seen.state is State.WAITING
        and (seen.path in ours or now - seen.looked < _ABSENT)
    }
    for path in waiting.keys() & set(ours):
        waiting[path].mark(now, waiting[path].ticket.turn)
    before, free = 0, turns.free(count, len(running), len(ending))
    places = {}
    every = (seen.ticket for seen in waiting.values())
    for ticket in turns.order(every, running + ending):
        places[ticket.key] = before
        # Only those whose turn it would be are worth a look.
        before += before >= free or waiting[ticket.key].lives()
    return Seen(now, free, waiting, places)


def under_way(found: list[tickets.Seen]) -> tuple[list[str], list[str]]:
    """The projects of those that run, and of those that end."""
    return _projects(found, State.RUNNING), _projects(found, State.ENDING)


def _projects(found: list[tickets.Seen], state: State) -> list[str]:
    """The project of each that lives and is so far, in order of arrival."""
    those = [seen for seen in found if seen.state is state]
    line = sorted(those, key=lambda s: (s.ticket.arrived, s.path))
    return [seen.ticket.project for seen in line if seen.lives()]


class Board:
    """What those who wait in one process have seen last.

    :param directory: of the tickets
    :param count: how many slots there are
    """

    def __init__(self, directory: str, count: int) -> None:
        self._directory = directory
        self._count = count
        self._lock = threading.Lock()
        self._seen = Seen(0, 0, {}, {})
        self._changed = -1
        self._until = -math.inf
        self._asked: set[str] = set()

    def look(self, path: str) -> tuple[int, int, bool]:
        """Look at the place of one that waits.

        :param path: of its ticket
        :returns: how many come before it, how many wait, and whether its turn
            may have come: :func:`see` tells
        """
        with self._lock:
            self._asked.add(path)
            changed = os.stat(self._directory).st_mtime_ns
            if changed != self._changed or time.monotonic() > self._until:
                self._read(changed)
            before = self._seen.before.get(path)
            waiting = len(self._seen.waiting)
            if before is None:  # it was tidied away, or is new
                return 0, waiting, True
            return before, waiting, before < self._seen.free

    def _read(self, changed: int) -> None:
        with tickets.alone(self._directory) as alone:
            if not alone:  # nor would the next of us be
                self._changed = changed
                self._until = time.monotonic() + _SOON
                return
            self._seen = see(self._directory, self._count, self._asked)
        settled = self._seen.at - changed > _TICK
        self._changed = changed if settled else -1
        self._until = time.monotonic() + _AGAIN
        self._asked = set()


@functools.lru_cache
def shared(directory: str, count: int) -> Board:
    """That of all who wait in this process."""
    return Board(directory, count)
