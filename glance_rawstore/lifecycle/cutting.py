# SPDX-License-Identifier: Apache-2.0
"""Where a disk is cut into slices. Core: pure."""

from collections.abc import Callable, Iterable, Iterator

from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices

#: Most slices that a disk is cut into when it has been measured. With more
#: data than so many times the wanted size, they have more data each.
MOST = 256
#: Bytes of data below which a slice is not cut for another worker.
LEAST = 128 << 20

#: Gives the bytes of data at an offset, for a length; all in bytes.
Measure = Callable[[int, int], int]


def split(
    whole: Slice, wanted: int, unit: int, measure: Measure
) -> tuple[Slice, ...]:
    """Cut a disk into slices with about as much data as wanted.

    By halves, where there is data, so that empty stretches cost nothing:
    each cut takes one measurement, and a disk without much data takes none.

    :param whole: all of it
    :param wanted: bytes of data in a slice, at most; see :data:`MOST`
    :param unit: offsets are multiples of it, in bytes
    """
    # Two neighbours have more together, so that there are no more than MOST.
    most = max(wanted, -(-2 * whole.data // (MOST - 1)))
    return tuple(_joined(_halved(whole, most, unit, measure), most))


def _halved(
    whole: Slice, most: int, unit: int, measure: Measure
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


def share(slices: Slices, workers: int, unit: int) -> int:
    """Bytes of data that one of several workers should take next.

    Less and less towards the end, so that they end at about the same time;
    and never so little that beginning a slice takes longer than writing it.

    :param workers: how many there are at most
    :param unit: offsets are multiples of it, in bytes
    """
    free = sum(each.data for each in slices.free())
    return max(free // (2 * workers), LEAST, unit)


def first(
    whole: Slice, wanted: int, unit: int, measure: Measure
) -> tuple[Slice, ...]:
    """Cut a slice so that its first piece has no more data than wanted.

    By halves, of which only the first is cut again: as many measurements.

    :returns: the pieces, in order; the slice itself if it has no more
    """
    half = whole.length // 2 // unit * unit
    if whole.data <= wanted or whole.length <= wanted or half == 0:
        return (whole,)
    data = min(measure(whole.offset, half), whole.data)
    left = Slice(whole.offset, half, data)
    right = Slice(left.end, whole.length - half, whole.data - data)
    return (*first(left, wanted, unit, measure), right)
