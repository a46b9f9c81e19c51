# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of a budget."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from glance_rawstore.lifecycle import budget
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.budget import Entry
from glance_rawstore.lifecycle.budget import Limits

MIB, GIB = 1 << 20, 1 << 30
HUNDRED = Limits(bytes=100, high=90, low=60)


@dataclasses.dataclass(frozen=True)
class Copy:
    bytes_used: int


def used(count, reserved=0, limits=HUNDRED):
    entries = [Entry('a', count, False), Entry('b', reserved, True)]
    return budget.summed(entries, limits)


def test_what_is_made_and_what_is_being_made_are_told_apart():
    assert used(30, 12) == Budget(100, 90, 60, used=30, reserved=12)
    assert used(30, 12).taken == 42
    assert used(30, 12).free == 58


def test_without_a_limit_everything_fits():
    found = used(30, limits=Limits())

    assert found.limit is None
    assert found.lacking(1 << 60) == found.excess(1 << 60) == 0
    with pytest.raises(TypeError):
        _ = found.free


@pytest.mark.parametrize(
    ('limits', 'limit'),
    [
        (Limits(bytes=5 * GIB), 5 * GIB),
        (Limits(percent=50), 4 * GIB),
        (Limits(bytes=5 * GIB, percent=50), 4 * GIB),
        (Limits(bytes=3 * GIB, percent=50), 3 * GIB),
        (Limits(percent=100), 8 * GIB),
    ],
)
def test_the_smaller_limit_holds(limits, limit):
    assert budget.summed([], limits, 8 * GIB).limit == limit


@pytest.mark.parametrize(
    ('needed', 'excess', 'lacking'),
    [(0, 0, 0), (40, 0, 0), (41, 31, 0), (50, 40, 0), (51, 41, 1)],
)
def test_above_the_high_watermark_all_above_the_low_one_is_too_much(
    needed, excess, lacking
):
    found = used(50)

    assert found.excess(needed) == excess
    assert found.lacking(needed) == lacking


@pytest.mark.parametrize(
    'limits',
    [
        Limits(bytes=-1),
        Limits(percent=101),
        Limits(percent=-1),
        Limits(high=80, low=80),
        Limits(high=70),
        Limits(high=101),
        Limits(low=0),
    ],
)
def test_what_cannot_be_meant_is_told(limits):
    assert limits.wrong()


def test_the_defaults_can_be_meant():
    assert Limits().wrong() is None
    assert not Limits().limited


@pytest.mark.parametrize(
    ('needed', 'sizes', 'count'),
    [
        (0, [20, 20], 0),  # not above the high watermark
        (45, [20, 20, 20], 2),
        (45, [35, 20], 1),
        (45, [36, 20], 1),
        (55, [5], 1),  # enough to fit, though not to reach the low one
        (55, [4], 0),  # not enough: nothing is lost for nothing
        (55, [], 0),
        (101, [50], 0),  # never fits
    ],
)
def test_so_many_go(needed, sizes, count):
    ranked = [Copy(size) for size in sizes]

    assert list(budget.chosen(ranked, used(50), needed)) == ranked[:count]


def test_above_the_watermark_by_itself_what_can_go_does():
    ranked = [Copy(10), Copy(10)]

    assert budget.chosen(ranked, used(150), 0) == ranked
    assert budget.chosen([Copy(95), Copy(1)], used(150), 0) == [Copy(95)]


sizes = st.integers(0, 1000)
limited = st.builds(
    Limits,
    bytes=st.integers(1, 3000),
    percent=st.sampled_from([0, 0, 1, 50, 100]),
    high=st.integers(51, 100),
    low=st.integers(1, 50),
)


@settings(max_examples=300)
@given(
    st.lists(sizes, max_size=8), st.lists(st.booleans()), limited, sizes, sizes
)
def test_evicting_makes_room_or_is_not_done(
    copies, being_made, limits, needed, capacity
):
    reserved = [*being_made, *([False] * len(copies))]
    entries = [
        Entry(str(n), size, reserved[n]) for n, size in enumerate(copies)
    ]
    ranked = [Copy(e.bytes) for e in entries if not e.reserved]
    now = budget.summed(entries, limits, capacity)
    assert now.limit is not None
    assert 0 <= now.low <= now.high <= now.limit
    assert now.taken == sum(copies)
    gone = budget.chosen(ranked, now, needed)
    freed = sum(copy.bytes_used for copy in gone)
    left = now.taken - freed + needed

    if now.taken + needed <= now.high:
        assert not gone
    elif left > now.low:
        nothing_more = len(gone) == len(ranked)
        assert nothing_more or (not gone and needed)
    if gone:
        assert left + gone[-1].bytes_used > now.low, 'not one too many'
        assert not needed or left <= now.limit, 'nothing for nothing'
    if needed and not gone and now.lacking(needed):
        everything = sum(copy.bytes_used for copy in ranked)
        assert now.taken - everything + needed > now.limit


@given(st.builds(Entry, st.text(), sizes, st.booleans()))
def test_an_entry_is_read_as_it_was_written(entry):
    assert budget.decode(budget.encode(entry)) == entry


def test_it_is_written_as_the_manual_says():
    assert budget.encode(Entry('6e0f', 4096, True)) == (
        b'{"bytes": 4096, "image_id": "6e0f", "reserved": true}'
    )


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'\xff',
        b'7',
        b'[]',
        b'{}',
        b'{"bytes": -1, "image_id": "x", "reserved": false}',
        b'{"bytes": 1e999, "image_id": "x", "reserved": false}',
    ],
)
def test_what_cannot_be_read_is_nothing(data):
    assert budget.decode(data) is None
