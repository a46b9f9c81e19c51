# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to convert, of all who wait. Core: pure.

The project of which least conversions run comes first. Of several, the one
whose last turn is longest ago, so that one with a hundred images takes turns
with one that has a single image, though only one conversion runs at a time.
Within a project, who came first.

Nobody starves, as long as every conversion ends. Once nothing of a project
runs, each of those that stand before it has one turn and stands behind it
then; who comes later stands behind it from the start.
"""

import collections
import dataclasses
import hashlib
import heapq
from collections.abc import Iterable


@dataclasses.dataclass(frozen=True)
class Ticket:
    """One that waits. Times by one clock for all, in any unit.

    :param key: tells it from all others
    :param project: for whom
    :param arrived: when it came
    :param turn: when its project had its last turn, or it came, whichever
        was later
    """

    key: str
    project: str
    arrived: float
    turn: float


def digest(project: str) -> str:
    """What stands for a project in names of tickets.

    An owner may be any text that an admin has thought of.
    """
    return hashlib.sha256(project.encode()).hexdigest()[:16]


def place(before: int) -> str:
    """What one that waits is told.

    :param before: how many have their turn before
    """
    return f'{before} before it' if before else 'it is next'


def order(waiting: Iterable[Ticket], running: Iterable[str]) -> list[Ticket]:
    """Those who wait, in the order in which they would begin.

    If nothing ended and nobody else came: the first one is next for sure, and
    the place of any other an estimate.

    :param running: the project of each conversion that runs
    """
    lines: dict[str, collections.deque[Ticket]] = {}
    for ticket in sorted(waiting, key=lambda t: (t.arrived, t.key)):
        lines.setdefault(ticket.project, collections.deque()).append(ticket)
    counts = collections.Counter(running)
    # What had a turn here stands behind all that have had none here.
    heads = [
        (counts[project], 0, line[0].turn, line[0].arrived, project)
        for project, line in lines.items()
    ]
    heapq.heapify(heads)
    found: list[Ticket] = []
    while heads:
        count, _, _, arrived, project = heapq.heappop(heads)
        line = lines[project]
        found.append(line.popleft())
        if line:
            next_turn = (count + 1, 1, float(len(found)), arrived, project)
            heapq.heappush(heads, next_turn)
    return found
