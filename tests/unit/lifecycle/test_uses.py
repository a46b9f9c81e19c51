# SPDX-License-Identifier: Apache-2.0
"""How uses are counted, and how they fade."""

import functools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.lifecycle import uses
from glance_rawstore.lifecycle.uses import Count
from glance_rawstore.lifecycle.uses import Use

HALF_LIFE = 3600.0
NOW = 1_000_000.0

times = st.floats(0, 2e9)
maybe = st.none() | times
all_uses = st.builds(
    Use, last=maybe, score=st.floats(0, 1e6), at=times, asked=maybe
)
counts = st.builds(
    lambda n, last, asked: Count(n, last if n else None, asked),
    st.integers(0, 1000),
    times,
    maybe,
)


@given(all_uses)
def test_what_is_written_is_read(use):
    assert uses.decode(uses.encode(use)) == use


def test_how_it_lies_in_ceph_does_not_change():
    use = Use(last=NOW, score=1.5, at=NOW, asked=NOW + 1)

    assert uses.encode(use) == (
        b'{"asked": 1000001.0, "at": 1000000.0, "last": 1000000.0, '
        b'"score": 1.5}'
    )


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'7',
        b'[]',
        b'{}',
        b'{"score": 1}',
        b'{"score": "x", "at": 1}',
        b'{"score": NaN, "at": 1}',
        b'{"score": Infinity, "at": 1}',
        b'{"score": -1, "at": 1}',
        b'{"score": 1, "at": 1, "last": []}',
        b'{"score": 1' + b'0' * 400 + b', "at": 1}',
        b'\xff\xfe',
    ],
)
def test_what_is_something_else_is_not_read(data):
    assert uses.decode(data) is None


@given(st.binary())
def test_no_bytes_break_it(data):
    uses.decode(data)


@given(times, st.floats(1, 1e9))
def test_a_score_halves_in_each_half_life(age, half_life):
    once = uses.decayed(8.0, age, half_life)
    later = uses.decayed(8.0, age + half_life, half_life)

    assert later == pytest.approx(once / 2)


def test_a_clock_that_is_ahead_does_not_make_a_score_grow():
    assert uses.decayed(8.0, -60.0, HALF_LIFE) == 8.0


def test_the_first_uses_count_in_full():
    use = uses.added(None, Count(3, NOW), HALF_LIFE)

    assert use == Use(last=NOW, score=3.0, at=NOW)


def test_older_uses_count_for_less():
    known = Use(last=NOW, score=4.0, at=NOW)

    use = uses.added(known, Count(1, NOW + HALF_LIFE), HALF_LIFE)

    assert use == Use(last=NOW + HALF_LIFE, score=3.0, at=NOW + HALF_LIFE)


def test_a_count_that_comes_late_is_worth_what_it_would_have_been():
    known = Use(last=NOW, score=4.0, at=NOW)

    use = uses.added(known, Count(2, NOW - HALF_LIFE), HALF_LIFE)

    assert use == Use(last=NOW, score=5.0, at=NOW)


def test_to_ask_is_no_use():
    known = Use(last=NOW, score=4.0, at=NOW)

    use = uses.added(known, Count(asked=NOW + 9), HALF_LIFE)

    assert use == Use(last=NOW, score=4.0, at=NOW, asked=NOW + 9)


@given(st.lists(counts, max_size=6), st.randoms())
def test_nodes_may_write_in_any_order(several, shuffler):
    def write(found):
        return functools.reduce(
            lambda use, count: uses.added(use, count, HALF_LIFE), found, Use()
        )

    first = write(several)
    shuffler.shuffle(several)
    second = write(several)

    assert (first.last, first.asked) == (second.last, second.asked)
    assert first.at == second.at
    assert first.score == pytest.approx(second.score, abs=1e-6)


@given(counts, counts)
def test_two_counts_together_hold_what_both_hold(one, other):
    both = one + other

    assert both.uses == one.uses + other.uses
    assert both.last in (one.last, other.last)
    assert both.asked in (one.asked, other.asked)
