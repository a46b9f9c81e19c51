# SPDX-License-Identifier: Apache-2.0
"""Slices of a disk: they cover it once, and none is converted twice."""

import bisect
import dataclasses
import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.slices import MOST
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
        return slices.split(whole, wanted, UNIT, self.measure)


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


# What is done

some = st.lists(
    st.tuples(st.integers(1, TIB), st.integers(0, TIB)), min_size=1, max_size=9
)


@st.composite
def halfway(draw):
    found, offset = [], 0
    for length, data in draw(some):
        found.append(Slice(offset, length, data))
        offset += length
    done = draw(st.integers(0, len(found)))
    return Slices(draw(st.text()), tuple(found), done)


@given(halfway())
def test_what_is_written_is_read(kept):
    assert slices.decode(slices.encode(kept)) == kept


@given(halfway())
def test_what_is_left_is_what_is_not_done(kept):
    assert (*kept.slices[: kept.done], *kept.left()) == kept.slices
    if kept.left():
        more = kept.one_more()
        assert more.left() == kept.left()[1:]
        assert kept.part_done() <= more.part_done() <= 1
        assert kept.part_done(1.0) == pytest.approx(more.part_done())
    else:
        assert kept.part_done() == 1.0


@given(halfway(), st.floats(0, 1), st.floats(0, 1))
def test_progress_never_goes_back(kept, one, two):
    low, high = sorted([one, two])

    assert 0 <= kept.part_done(low) <= kept.part_done(high) <= 1


@given(halfway(), st.data())
def test_what_is_torn_is_not_read(kept, data):
    text = slices.encode(kept)
    cut = data.draw(st.integers(0, len(text) - 1))

    assert slices.decode(text[:cut]) is None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.floats(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(['source', 'done', 'slices', 'x']), inner
            )
        ),
    )
)
def test_anything_else_is_not_read_or_makes_sense(value):
    found = slices.decode(json.dumps(value))

    if found is not None:
        assert 0 <= found.done <= len(found.slices)
        assert found.size == sum(each.length for each in found.slices) > 0


@pytest.mark.parametrize(
    'change',
    [
        {'done': 3},
        {'done': -1},
        {'done': True},
        {'done': '1'},
        {'slices': []},
        {'slices': [[0, 0], [8, 1]]},
        {'slices': [[8, -1]]},
        {'slices': [[8]]},
        {'slices': [8]},
        {'slices': {'8': 1}},
        {'source': None},
    ],
)
def test_what_makes_no_sense_is_not_read(change):
    kept = Slices('x', (Slice(0, 8, 1), Slice(8, 8, 0)), 1)
    read = json.loads(slices.encode(kept))

    assert slices.decode(json.dumps({**read, **change})) is None


def test_progress_goes_by_data_and_without_any_by_slices():
    three = (Slice(0, 100, 10), Slice(100, 10, 10), Slice(110, 99, 0))
    kept = Slices('x', three)

    assert kept.part_done(0.5) == 0.25
    assert kept.one_more().part_done() == 0.5
    empty = Slices('x', tuple(dataclasses.replace(s, data=0) for s in three))
    assert empty.one_more().part_done() == pytest.approx(1 / 3)
