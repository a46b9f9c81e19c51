# SPDX-License-Identifier: Apache-2.0
"""A disk in slices: the units in which a conversion can be resumed.

They are converted in order, so that what is done is their first ones, and
what a dead worker was writing is the one after those. Core: pure.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable, Iterable, Iterator

#: Most slices of any disk. With more data than so many times the wanted
#: size, they have more data each.
MOST = 256


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
class Slices:
    """The slices of one disk, and how many of them are done.

    :param source: what it is made from, see
        :attr:`glance_rawstore.catalog.Image.content`; empty where that is
        not known, so that nobody else can go on
    """

    source: str
    slices: tuple[Slice, ...]
    done: int = 0

    @property
    def size(self) -> int:
        """Virtual size of the disk in bytes."""
        return self.slices[-1].end

    def left(self) -> tuple[Slice, ...]:
        """Those that are to be converted, in order."""
        return self.slices[self.done :]

    def one_more(self) -> 'Slices':
        """The same, with the next one done as well."""
        return dataclasses.replace(self, done=self.done + 1)

    def part_done(self, running: float = 0.0) -> float:
        """How much of all data is converted, 0.0 to 1.0.

        :param running: how much of the next slice is, 0.0 to 1.0
        """
        total = sum(each.data for each in self.slices)
        if total == 0:
            return (self.done + running) / len(self.slices)
        done = sum(each.data for each in self.slices[: self.done])
        if self.left():
            done += int(running * self.left()[0].data)
        return done / total


def split(
    whole: Slice,
    wanted: int,
    unit: int,
    measure: Callable[[int, int], int],
) -> tuple[Slice, ...]:
    """Cut a disk into slices with about as much data as wanted.

    By halves, where there is data, so that empty stretches cost nothing:
    each cut takes one measurement, and a disk without much data takes none.

    :param whole: all of it
    :param wanted: bytes of data in a slice, at most; see :data:`MOST`
    :param unit: offsets are multiples of it, in bytes
    :param measure: gives the bytes of data at an offset, for a length
    """
    # Two neighbours have more together, so that there are no more than MOST.
    most = max(wanted, -(-2 * whole.data // (MOST - 1)))
    return tuple(_joined(_halved(whole, most, unit, measure), most))


def _halved(
    whole: Slice, most: int, unit: int, measure: Callable[[int, int], int]
) -> Iterator[Slice]:
    half = whole.length // 2 // unit * unit
    if whole.data <= most or whole.length <= most or half == 0:
        yield whole
        return
    data = min(measure(whole.offset, half), whole.data)
    left = Slice(whole.offset, half, data)
    right = Slice(left.end, whole.length - half, whole.data - data)
    yield from _halved(left, most, unit, measure)
    yield from _halved(right, most, unit, measure)


def _joined(slices: Iterable[Slice], most: int) -> Iterator[Slice]:
    """Neighbours made one, as long as they have little data together."""
    before: Slice | None = None
    for each in slices:
        if before is not None and before.data + each.data <= most:
            each = Slice(
                before.offset,
                before.length + each.length,
                before.data + each.data,
            )
        elif before is not None:
            yield before
        before = each
    if before is not None:
        yield before


def encode(slices: Slices) -> str:
    """As it lies in Ceph: JSON."""
    return json.dumps(
        {
            'source': slices.source,
            'done': slices.done,
            'slices': [[each.length, each.data] for each in slices.slices],
        },
        separators=(',', ':'),
    )


def decode(text: str) -> Slices | None:
    """Read what :func:`encode` wrote; None for anything else."""
    try:
        read = json.loads(text)
        pairs = [(length, data) for length, data in read['slices']]
        source, done = read['source'], read['done']
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    numbers = [done, *itertools.chain.from_iterable(pairs)]
    if not all(type(n) is int and n >= 0 for n in numbers):
        return None
    if not isinstance(source, str) or not pairs or done > len(pairs):
        return None
    if not all(length for length, _data in pairs):
        return None
    found, offset = [], 0
    for length, data in pairs:
        found.append(Slice(offset, length, data))
        offset += length
    return Slices(source, tuple(found), done)
