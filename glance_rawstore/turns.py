# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is to convert, of all who wait. Core: pure.

The project of which least conversions are under way comes first: running, or
ending. Of several, the one whose last turn is longest ago, so that one with a
hundred images takes turns with one that has a single image, though only one
conversion runs at a time. Within a project, who came first.

Nobody starves, as long as every conversion ends. Once nothing of a project is
under way, each of those that stand before it has one turn and stands behind
it then; who comes later stands behind it from the start.
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


def free(count: int, running: int, ending: int) -> int:
    """How many of those who wait may begin now; negative for too many.

    As many as there are slots end beside those that run: they wait for Ceph
    and for Glance's database, and cores would be idle. Any more take a slot.

    :param count: how many slots there are
    :param ending: how many have written all and are not done
    """
    return count - running - max(0, ending - count)


def order(waiting: Iterable[Ticket], under_way: Iterable[str]) -> list[Ticket]:
    """Those who wait, in the order in which they would begin.

    If nothing ended and nobody else came: the first one is next for sure, and
    the place of any other an estimate.

    :param under_way: the project of each conversion that runs or ends. Those
        that end are counted since all may end at once: a project that has
        none at all would then come after those that had turns before it came.
    """
    lines: dict[str, collections.deque[Ticket]] = {}
    for ticket in sorted(waiting, key=lambda t: (t.arrived, t.key)):
        lines.setdefault(ticket.project, collections.deque()).append(ticket)
    counts = collections.Counter(under_way)
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
