# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once on one node, over all its processes.

Who runs or waits has a ticket (:mod:`glance_rawstore.tickets`);
:mod:`glance_rawstore.turns` says whose turn it is. So that no two take the
same turn, one at a time looks and takes. Those who wait in one process look
at their places together (:mod:`glance_rawstore.board`), and only one whose
turn may have come looks by itself.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

from glance_rawstore import board
from glance_rawstore import tickets
from glance_rawstore import turns
from glance_rawstore.tickets import State

#: Seconds between looks of those who begin when what runs ends, of those who
#: are next then, and of all others; of those far behind, so many for each that
#: is before them, up to a limit. While nobody looks a slot is idle.
_FIRST = 0.03
_NEXT = 0.1
_RETRY = 1.0
_FAR = 0.02
_MOST = 10.0
#: Seconds for each that waits, which cost a look 10 us of a core.
_EACH = 0.0002


def _nobody(_before: int) -> None:
    pass


def at_once(
    directory: str, count: int, project: str = ''
) -> tickets.Slot | None:
    """A slot that is free, and that nobody waits for; None without one.

    :param directory: as for :func:`slot`, as ``count`` and ``project``
    :returns: to be closed when it is not needed any more
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with tickets.alone(directory) as alone:
        if not alone:
            return None
        found = tickets.found(directory)
        if _somebody_waits(found):
            return None
        if turns.free(count, *map(len, board.under_way(found))) <= 0:
            return None
        return tickets.Slot(directory, project, runs=True)


def wanted(directory: str) -> bool:
    """Whether somebody waits for a slot; False if that cannot be told now.

    :param directory: as for :func:`slot`
    """
    # Alone: a ticket that is made just now would be taken for a dead one's.
    with tickets.alone(directory) as alone:
        return alone and _somebody_waits(tickets.found(directory))


def _somebody_waits(found: list[tickets.Seen]) -> bool:
    return any(seen.state is State.WAITING and seen.lives() for seen in found)


@contextlib.contextmanager
def slot(
    directory: str,
    count: int,
    wait: Callable[[float], None],
    project: str = '',
    told: Callable[[int], None] = _nobody,
) -> Iterator[tickets.Slot]:
    """Hold one of this node's slots for as long as the context lasts.

    Gives it, to be told when all is converted: another one begins then,
    unless ``count`` more are that far and have not ended.

    :param directory: shared by all processes of the node; created if missing
    :param count: how many slots there are
    :param wait: sleeps that many seconds; ends the waiting by raising
    :param project: for whom; they take turns
    :param told: is called before each wait with the number of those whose
        turn comes before
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with _ticket(directory, project, wait) as held:
        shared = board.shared(directory, count)
        while not held.runs:
            before, waiting, may_begin = shared.look(held.path)
            if may_begin:
                with tickets.alone(directory) as alone:
                    if alone:
                        before, waiting = _look(directory, count, held)
            if not held.runs:
                told(before)
                wait(_pause(before, count, waiting))
        yield held


def _ticket(
    directory: str, project: str, wait: Callable[[float], None]
) -> tickets.Slot:
    while True:
        with tickets.alone(directory) as alone:
            if alone:
                return tickets.Slot(directory, project)
        wait(_NEXT)


def _pause(before: int, count: int, waiting: int) -> float:
    """Seconds until one with so many before it looks again.

    :param waiting: how many wait in all
    """
    if before < 2 * count:
        usual = _FIRST if before < count else _NEXT
        return min(max(usual, waiting * _EACH), _RETRY)
    return min(max(_RETRY, before * _FAR), _MOST)


def _look(directory: str, count: int, held: tickets.Slot) -> tuple[int, int]:
    """Take a turn if it is ours.

    :returns: how many come before us, and how many wait
    """
    seen = board.see(directory, count, {held.path})
    if held.path not in seen.waiting:
        held.restore()
        seen = board.see(directory, count, {held.path})
    before = seen.before[held.path]
    if before < seen.free:
        project = seen.waiting[held.path].ticket.project
        held.run()
        for each in seen.waiting.values():
            if each.ticket.project == project:
                each.mark(each.looked, seen.at)  # their project had its turn
    return before, len(seen.waiting)
