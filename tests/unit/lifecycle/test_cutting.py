# SPDX-License-Identifier: Apache-2.0
"""Slices of a disk: they cover it once, and have about as much data."""

import bisect
import itertools

from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.lifecycle import cutting
from glance_rawstore.lifecycle.cutting import MOST
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices

UNIT = 8
GIB, TIB = 1 << 30, 1 << 40


class Disk:
    """A disk of which some bytes are data.

    :ivar measured: how often it was measured
    """

    def __init__(self, size, data):
        self.size = size
        self._data = sorted(data)
        self.measured = 0

    def data(self, offset, length):
        low = bisect.bisect_left(self._data, offset)
        return bisect.bisect_left(self._data, offset + length) - low

    def measure(self, offset, length):
        self.measured += 1
        return self.data(offset, length)

    def split(self, wanted):
        whole = Slice(0, self.size, self.data(0, self.size))
        return cutting.split(whole, wanted, UNIT, self.measure)


@st.composite
def disks(draw):
    size = draw(st.integers(0, 3000))
    offsets = st.integers(0, max(0, size - 1))
    clumps = draw(
        st.lists(st.tuples(offsets, st.integers(1, 400)), max_size=5)
    )
    data = {i for low, n in clumps for i in range(low, min(low + n, size))}
    return Disk(size, data)


@given(disks(), st.integers(1, 500))
def test_slices_cover_the_disk_once_and_begin_at_objects(disk, wanted):
    found = disk.split(wanted)

    assert found[0].offset == 0
    assert found[-1].end == disk.size
    for before, after in itertools.pairwise(found):
        assert before.end == after.offset
    assert all(each.offset % UNIT == 0 for each in found)
    assert disk.size == 0 or all(each.length for each in found)


@given(disks(), st.integers(1, 500))
def test_each_knows_its_data_and_has_no_more_than_is_wanted(disk, wanted):
    found = disk.split(wanted)
    total = disk.data(0, disk.size)
    most = max(wanted, -(-2 * total // (MOST - 1)))

    for each in found:
        assert each.data == disk.data(each.offset, each.length)
        assert each.data <= most or each.length < 2 * UNIT
    assert len(found) <= 2 * total / most + 1


@given(disks())
def test_little_data_is_one_slice_and_costs_no_measurement(disk):
    found = disk.split(disk.data(0, disk.size))

    assert len(found) == 1
    assert disk.measured == 0


def test_empty_stretches_cost_next_to_nothing():
    """A clump of 4 GiB somewhere in 2 TiB."""
    low = 700 * GIB

    class Clump(Disk):
        def data(self, offset, length):
            high = min(offset + length, low + 4 * GIB)
            return max(0, high - max(offset, low))

    disk = Clump(2 * TIB, ())

    assert 4 <= len(disk.split(GIB)) <= 9
    assert disk.measured < 20


def test_there_is_an_end_to_their_number():
    class Full(Disk):
        def data(self, offset, length):
            return length

    disk = Full(4 * TIB, ())

    assert len(disk.split(GIB)) <= MOST
    assert disk.measured <= MOST


# For several workers


@given(disks(), st.integers(1, 500))
def test_a_first_piece_has_no_more_than_is_wanted(disk, wanted):
    whole = Slice(0, disk.size, disk.data(0, disk.size))

    found = cutting.first(whole, wanted, UNIT, disk.measure)

    assert found[0].data <= wanted or found[0].length < 2 * UNIT
    assert disk.measured == len(found) - 1 < 20
    for before, after in itertools.pairwise(found):
        assert before.end == after.offset
        assert after.offset % UNIT == 0
    assert sum(each.length for each in found) == disk.size
    assert sum(each.data for each in found) == whole.data


def test_a_share_gets_smaller_towards_the_end_and_has_an_end():
    def shared(free):
        return cutting.share(Slices('x', (Slice(0, TIB, free),)), 4, UNIT)

    assert shared(8 * GIB) == GIB
    assert shared(4 * GIB) == GIB // 2
    assert shared(0) == cutting.LEAST
