# SPDX-License-Identifier: Apache-2.0
"""What becomes of the slices of a disk, and how it is kept."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import LEFT
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices

TIB = 1 << 40


some = st.lists(
    st.tuples(st.integers(1, TIB), st.integers(0, TIB)), min_size=1, max_size=9
)


@st.composite
def halfway(draw):
    found, offset = [], 0
    for length, data in draw(some):
        found.append(Slice(offset, length, data))
        offset += length
    state = st.sampled_from([FREE, LEFT, DONE, 'one', '-one', 'other'])
    states = draw(st.lists(state, min_size=len(found), max_size=len(found)))
    return Slices(
        draw(st.text()),
        tuple(found),
        tuple(states),
        draw(st.text()),
        draw(st.integers(0)),
    )


@given(halfway())
def test_what_is_written_is_read(kept):
    assert slices.decode(slices.encode(kept)) == kept


@given(halfway())
def test_progress_goes_by_what_is_done(kept):
    now = kept.take('me', (LEFT, FREE))
    taken = now.has('me')

    if taken is None:
        assert now == kept
        return
    assert 0 <= kept.part_done() == now.part_done() <= 1
    more = now.finish('me')
    assert now.part_done(1.0, taken.slice) == pytest.approx(more.part_done())
    assert len(more.left()) == len(kept.left()) - 1
    assert more.left() or more.part_done() == 1.0


@given(halfway(), st.floats(0, 1), st.floats(0, 1))
def test_progress_never_goes_back(kept, one, two):
    now = kept.take('me', (LEFT, FREE))
    taken = now.has('me')
    if taken is None:
        return
    low, high = sorted([one, two])

    found = [now.part_done(each, taken.slice) for each in (low, high)]

    assert 0 <= found[0] <= found[1] <= 1


@given(halfway())
def test_what_is_left_half_done_goes_first_and_is_to_be_emptied(kept):
    now = kept.take('me', (LEFT, FREE))
    taken = now.has('me')

    if LEFT in kept.states:
        assert taken.dirty
        assert taken.slice == kept.slices[kept.states.index(LEFT)]
    elif FREE in kept.states:
        assert not taken.dirty
        assert taken.slice == kept.free()[0]
    else:
        assert taken is None


@given(halfway())
def test_what_was_taken_is_clean_no_more(kept):
    now = kept.take('me', (FREE,))
    if now == kept:
        return

    again = now.give_back('me').take('me', (LEFT,))

    assert again.has('me').dirty
    assert now.take_back(now.workers()).workers() == frozenset()
    assert now.give_back('somebody') == now == now.finish('somebody')


def test_only_a_slice_that_is_free_is_cut():
    kept = Slices('x', (Slice(0, 8, 5), Slice(8, 8, 4)))
    pieces = (Slice(0, 4, 3), Slice(4, 4, 2))

    cut = kept.cut(pieces)

    assert cut.slices == (*pieces, Slice(8, 8, 4))
    assert cut.states == (FREE, FREE, FREE)
    taken = kept.take('me', (FREE,))
    assert taken.cut(pieces) == taken
    assert taken.give_back('me').cut(pieces) == taken.give_back('me')


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
                st.sampled_from(['source', 'done', 'slices', 'owner', 'turn']),
                inner,
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
        {'turn': -1},
        {'turn': True},
        {'turn': '1'},
        {'slices': []},
        {'slices': [[0, 0, ''], [8, 1, '']]},
        {'slices': [[8, -1, '']]},
        {'slices': [[8, 1]]},
        {'slices': [[8, 1, 0]]},
        {'slices': [8]},
        {'slices': {'8': 1}},
        {'source': None},
        {'owner': None},
    ],
)
def test_what_makes_no_sense_is_not_read(change):
    kept = Slices('x', (Slice(0, 8, 1), Slice(8, 8, 0)), (DONE, FREE))
    read = json.loads(slices.encode(kept))

    assert slices.decode(json.dumps({**read, **change})) is None


def former(done, **changes):
    """What a version wrote that knew nothing of several workers."""
    known = {'source': 'x', 'done': done, 'slices': [[8, 1], [8, 0], [8, 1]]}
    return slices.decode(json.dumps({**known, **changes}))


def test_what_a_former_version_has_kept_is_read():
    assert former(1).states == (DONE, LEFT, FREE)
    assert former(0).states == (LEFT, FREE, FREE)
    assert former(3).states == (DONE, DONE, DONE)
    assert former(3).owner == ''
    assert former(3).size == 24


@pytest.mark.parametrize('done', [-1, 4, True, '1', None])
def test_what_made_no_sense_is_not_read(done):
    assert former(done) is None
    assert former(1, slices=[[8]]) is None


def test_progress_goes_by_data_and_without_any_by_slices():
    three = (Slice(0, 100, 10), Slice(100, 10, 10), Slice(110, 99, 0))
    kept = Slices('x', three).take('me', (FREE,))

    assert kept.part_done(0.5, three[0]) == 0.25
    assert kept.finish('me').part_done() == 0.5
    empty = Slices('x', tuple(dataclasses.replace(s, data=0) for s in three))
    empty = empty.take('me', (FREE,)).finish('me')
    assert empty.part_done() == pytest.approx(1 / 3)
