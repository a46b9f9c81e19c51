# SPDX-License-Identifier: Apache-2.0
"""A disk in slices: what a conversion is resumed by, and shared out by.

Each is in one of four states, and these are the ways between them:

======== ====================== =====================================
free     nobody ever wrote it   ``take`` -> taken
taken    one worker writes it   ``finish`` -> done; ``give_back``, or
                                ``take_back`` -> left
left     one wrote some of it   ``take`` -> taken, to be emptied first
done     it is written          none
======== ====================== =====================================

Core: pure.
"""

import dataclasses
import itertools
import json
from collections.abc import Collection, Iterable
from typing import Any

#: States; another one is a worker's name: it has taken the slice.
FREE, LEFT, DONE = '', '-', '+'
#: How a source begins of which nobody knows yet what it is.
UNKNOWN = 'staged/'


@dataclasses.dataclass(frozen=True)
class Slice:
    """A part of the guest's disk; all in bytes.

    :param data: how much of it the original has data for
    """

    offset: int
    length: int
    data: int

    @property
    def end(self) -> int:
        """Offset of what follows."""
        return self.offset + self.length


@dataclasses.dataclass(frozen=True)
class Taken:
    """A slice that a worker has to write.

    :param dirty: another one may have written some of it, so that it is to
        be emptied first
    """

    slice: Slice
    dirty: bool


@dataclasses.dataclass(frozen=True)
class Slices:
    """The slices of one disk, and what has become of each.

    :param source: what it is made from, see
        :attr:`glance_rawstore.catalog.Image.content`; empty where that is
        not known, so that nobody else can go on
    :param states: of each slice; all are free when none is given
    :param owner: name of the worker who makes the copy; others only help it
    :param turn: how often it was changed, so that it is never the same twice
    """

    source: str
    slices: tuple[Slice, ...]
    states: tuple[str, ...] = ()
    owner: str = ''
    turn: int = 0

    def __post_init__(self) -> None:
        """Have a state for each of them."""
        if not self.states:
            free = (FREE,) * len(self.slices)
            object.__setattr__(self, 'states', free)

    @property
    def size(self) -> int:
        """Virtual size of the disk in bytes."""
        return self.slices[-1].end

    @property
    def done(self) -> int:
        """How many are done."""
        return self.states.count(DONE)

    def left(self) -> tuple[Slice, ...]:
        """Those that are not done, in order."""
        pairs = zip(self.slices, self.states, strict=True)
        return tuple(each for each, state in pairs if state != DONE)

    def free(self) -> tuple[Slice, ...]:
        """Those that nobody ever wrote, in order."""
        pairs = zip(self.slices, self.states, strict=True)
        return tuple(each for each, state in pairs if state == FREE)

    def workers(self) -> frozenset[str]:
        """Names of those who have taken one."""
        taken = set(self.states) - {FREE, LEFT, DONE}
        return frozenset(state.removeprefix(LEFT) for state in taken)

    def has(self, worker: str) -> Taken | None:
        """The slice that a worker has taken."""
        for each, state in zip(self.slices, self.states, strict=True):
            if state in (worker, LEFT + worker):
                return Taken(each, dirty=state != worker)
        return None

    def take(self, worker: str, states: Collection[str]) -> 'Slices':
        """The same, with a slice taken; no other if none is to be had.

        :param states: of which it may be; a left one goes first
        """
        for wanted in (LEFT, FREE):
            if wanted in states and wanted in self.states:
                index = self.states.index(wanted)
                return self._with(index, wanted + worker)
        return self

    def finish(self, worker: str) -> 'Slices':
        """The same, with what a worker has taken done."""
        for index, state in enumerate(self.states):
            if state in (worker, LEFT + worker):
                return self._with(index, DONE)
        return self

    def give_back(self, worker: str) -> 'Slices':
        """The same, with what a worker has taken left half-done."""
        theirs = (worker, LEFT + worker)
        states = tuple(LEFT if s in theirs else s for s in self.states)
        return dataclasses.replace(self, states=states)

    def take_back(self, gone: Iterable[str]) -> 'Slices':
        """The same, with all left that these workers have taken."""
        found = self
        for worker in gone:
            found = found.give_back(worker)
        return found

    def cut(self, pieces: tuple[Slice, ...]) -> 'Slices':
        """The same with a free slice in pieces, if it is still free.

        :param pieces: which make up one slice
        """
        whole = Slice(
            pieces[0].offset,
            sum(each.length for each in pieces),
            sum(each.data for each in pieces),
        )
        if whole not in self.free():
            return self
        at = self.slices.index(whole)
        return dataclasses.replace(
            self,
            slices=(*self.slices[:at], *pieces, *self.slices[at + 1 :]),
            states=(
                *self.states[:at],
                *(FREE,) * len(pieces),
                *self.states[at + 1 :],
            ),
        )

    def _with(self, index: int, state: str) -> 'Slices':
        states = (*self.states[:index], state, *self.states[index + 1 :])
        return dataclasses.replace(self, states=states)

    def part_done(
        self, running: float = 0.0, now: Slice | None = None
    ) -> float:
        """How much of all data is converted, 0.0 to 1.0.

        :param running: how much is of the one being written, 0.0 to 1.0
        :param now: that one
        """
        total = sum(each.data for each in self.slices)
        if total == 0:
            return (self.done + running) / len(self.slices)
        left = sum(each.data for each in self.left())
        here = int(running * now.data) if now is not None else 0
        return (total - left + here) / total


def encode(slices: Slices) -> str:
    """As it lies in Ceph: JSON."""
    return json.dumps(
        {
            'source': slices.source,
            'owner': slices.owner,
            'turn': slices.turn,
            'slices': [
                [each.length, each.data, state]
                for each, state in zip(
                    slices.slices, slices.states, strict=True
                )
            ],
        },
        separators=(',', ':'),
    )


def decode(text: str) -> Slices | None:
    """Read what :func:`encode` wrote, or did; None for anything else."""
    try:
        read = json.loads(text)
        if 'done' in read:
            read = _converted(read)
        rows = [(size, data, state) for size, data, state in read['slices']]
        source, owner, turn = read['source'], read['owner'], read['turn']
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    lengths, data, states = zip(*rows, strict=True) if rows else ((), (), ())
    if not _sound((turn, *lengths, *data), (source, owner, *states)):
        return None
    if not lengths or not all(lengths):
        return None
    offsets = itertools.accumulate(lengths, initial=0)
    found = tuple(map(Slice, offsets, lengths, data))
    return Slices(source, found, tuple(states), owner, turn)


def _sound(numbers: Iterable[Any], texts: Iterable[Any]) -> bool:
    return all(type(n) is int and n >= 0 for n in numbers) and all(
        isinstance(text, str) for text in texts
    )


def _converted(read: dict[str, Any]) -> dict[str, Any]:
    """Of the form in which only the first ones could be done.

    The one after those may have been begun.
    """
    done, pairs = read['done'], list(read['slices'])
    if type(done) is not int or not 0 <= done <= len(pairs):
        raise ValueError(done)
    states = [DONE] * done + [LEFT] + [FREE] * len(pairs)
    rows = [
        [length, data, state]
        for (length, data), state in zip(pairs, states, strict=False)
    ]
    return {'source': read['source'], 'slices': rows, 'owner': '', 'turn': 0}
