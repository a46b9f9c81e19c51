# SPDX-License-Identifier: Apache-2.0
"""What a consumer is given is what it was shown, whatever happens between."""

import hypothesis
import pytest
from hypothesis import strategies as st

from glance_rawstore.lifecycle import shown
from glance_rawstore.lifecycle.shown import KEPT
from glance_rawstore.lifecycle.shown import SETTLED
from glance_rawstore.lifecycle.shown import SKEW
from glance_rawstore.lifecycle.shown import Answer
from glance_rawstore.lifecycle.shown import Gone
from glance_rawstore.lifecycle.shown import Kind
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.lifecycle.shown import Stand

DOWNLOADS, RAW = Note(Kind.DOWNLOADS), Note(Kind.RAW)
SEEN, STALE = Note(Kind.ORIGINAL, '17.5'), Note(Kind.ORIGINAL, '3.25')
NONE = Stand(None)
YOUNG, SETTLING, OLD = Stand(0.0), Stand(SETTLED), Stand(SETTLED + SKEW)
FRESH = Gone('17.5', 1.0)
LONG_AGO = Gone('17.5', SETTLED + SKEW)
WENT = Stand(None, FRESH)
WENT_LONG_AGO = Stand(None, LONG_AGO)


@pytest.mark.parametrize(
    ('stand', 'note', 'answer', 'wanted'),
    [
        (NONE, None, Answer.ORIGINAL, None),
        (NONE, RAW, Answer.ORIGINAL, None),
        (YOUNG, None, Answer.RAW, RAW),
        (YOUNG, SEEN, Answer.RAW, RAW),
        (YOUNG, RAW, Answer.RAW, None),
        (YOUNG, DOWNLOADS, Answer.ORIGINAL, None),
        (SETTLING, None, Answer.RAW, RAW),
        (OLD, None, Answer.RAW, None),
        (OLD, SEEN, Answer.RAW, None),
        (OLD, DOWNLOADS, Answer.ORIGINAL, None),
        (WENT, None, Answer.ORIGINAL, SEEN),
        (WENT, RAW, Answer.ORIGINAL, SEEN),
        (WENT, STALE, Answer.ORIGINAL, SEEN),
        (WENT, SEEN, Answer.ORIGINAL, None),
        (WENT, DOWNLOADS, Answer.ORIGINAL, None),
        (Stand(None, Gone('17.5', SETTLED)), None, Answer.ORIGINAL, SEEN),
        (WENT_LONG_AGO, None, Answer.ORIGINAL, None),
        (WENT_LONG_AGO, STALE, Answer.ORIGINAL, None),
        (WENT_LONG_AGO, RAW, Answer.ORIGINAL, SEEN),
    ],
)
def test_what_is_shown_and_noted(stand, note, answer, wanted):
    assert shown.show(stand, note) == (answer, wanted)


@pytest.mark.parametrize(
    ('stand', 'answer'),
    [
        (NONE, Answer.ORIGINAL),
        (YOUNG, Answer.ORIGINAL),
        (SETTLING, Answer.RAW),
        (OLD, Answer.RAW),
        (WENT, Answer.ORIGINAL),
    ],
)
def test_of_who_is_not_known_nothing_is_noted(stand, answer):
    assert shown.show(stand, None, known=False) == (answer, None)


@pytest.mark.parametrize(
    ('stand', 'note', 'answer'),
    [
        (NONE, None, Answer.ORIGINAL),
        (NONE, RAW, Answer.ORIGINAL),
        (YOUNG, None, Answer.ORIGINAL),
        (YOUNG, RAW, Answer.RAW),
        (YOUNG, STALE, Answer.ORIGINAL),
        (YOUNG, DOWNLOADS, Answer.ORIGINAL),
        (Stand(0.0, FRESH), None, Answer.NEITHER),
        (Stand(0.0, FRESH), SEEN, Answer.ORIGINAL),
        (Stand(0.0, FRESH), STALE, Answer.NEITHER),
        (Stand(0.0, FRESH), RAW, Answer.RAW),
        (Stand(0.0, LONG_AGO), None, Answer.ORIGINAL),
        (SETTLING, None, Answer.RAW),
        (OLD, None, Answer.RAW),
        (OLD, STALE, Answer.RAW),
        (OLD, DOWNLOADS, Answer.ORIGINAL),
        (Stand(SETTLED, FRESH), None, Answer.RAW),
        (WENT, None, Answer.NEITHER),
        (WENT, RAW, Answer.NEITHER),
        (WENT, STALE, Answer.NEITHER),
        (WENT, SEEN, Answer.ORIGINAL),
        (WENT, DOWNLOADS, Answer.ORIGINAL),
        (WENT_LONG_AGO, None, Answer.ORIGINAL),
        (WENT_LONG_AGO, RAW, Answer.NEITHER),
        (Stand(None, Gone('17.5', SETTLED)), None, Answer.ORIGINAL),
    ],
)
def test_what_is_given(stand, note, answer):
    assert shown.give(stand, note) is answer


@pytest.mark.parametrize('age', [-3600.0, 0.0, SETTLED - 1])
def test_what_other_clocks_date_ahead_has_just_happened(age):
    assert not Stand(age).settled
    assert not Gone('', age).settled


@pytest.mark.parametrize('note', [DOWNLOADS, RAW, SEEN])
def test_notes_are_read_as_they_were_written(note):
    data = shown.encode(note, 1000.0)

    assert shown.decode(data, 1000.0 + KEPT) == note
    assert shown.decode(data, 1000.0 + KEPT + 1) is None


@pytest.mark.parametrize(
    'data', [b'', b'1000', b'soon raw', b'1000 green', b'\xff 1']
)
def test_anything_else_is_no_note(data):
    assert shown.decode(data, 1000.0) is None


class World:
    """One image, its copies, and what one consumer was shown of it.

    Clocks of nodes differ, and minutes pass between a look and what comes of
    it.

    :param skews: of the nodes, in seconds
    :param known: whether the consumer can be noted
    """

    def __init__(self, skews, known):
        self.now = 0.0
        self.skews = skews
        self.known = known
        self.committed = None
        self.trace = None
        self.going = False
        self.note = None
        self.begun = {}
        self.shown = None
        self.changes = 0

    def stand(self, node):
        now, gone = self.now + self.skews[node], None
        if self.trace is not None and now - self.trace <= KEPT:
            gone = Gone(f'{self.trace}', now - self.trace)
        active = self.committed
        return Stand(None if active is None else now - active, gone)

    def commit(self, node):
        if self.committed is None:
            self.committed = self.now + self.skews[node]
            self.changes += 1

    def leave_trace(self, node):
        """The first half of a deletion; looks may come in between."""
        if self.committed is not None:
            # no two are the same: microseconds
            self.trace = self.now + self.skews[node] + self.changes * 1e-6
            self.going = True

    def delete(self, node):
        if self.committed is not None:
            if not self.going:
                self.leave_trace(node)
            self.committed, self.going = None, False
            self.changes += 1

    def begin(self, node):
        """Read what is noted, before it is known what for."""
        self.begun[node] = self.note

    def show(self, node):
        downloads = self.note == DOWNLOADS
        note = self.begun.pop(node, self.note) if self.known else None
        answer, wanted = shown.show(self.stand(node), note, self.known)
        if wanted is not None and note != self.note:
            # It is refused, and decided anew.
            answer, wanted = shown.show(self.stand(node), self.note)
        if self.committed is None:
            assert answer is Answer.ORIGINAL, 'there is nothing else to show'
        if wanted is not None:
            assert self.known
            assert not downloads, 'it would be forgotten'
            self.note = wanted
        self.shown = answer, self.now, self.changes

    def give(self, node, noted=False):
        """Give bytes.

        :param noted: whether a download of the original is noted
        """
        answer = shown.give(self.stand(node), self.note)
        if answer is Answer.RAW:
            assert self.committed is not None, 'there is nothing to give'
        if self.shown is not None:
            self.check(answer)
        if answer is Answer.ORIGINAL and self.known and noted:
            self.note = DOWNLOADS

    def check(self, answer):
        told, at, changes = self.shown
        if self.now - at > 300:
            return  # it has waited for too long
        if not self.known:
            # Where clocks differ it may be told one thing by one node, and
            # another by another; and it is protected by the hash then.
            return
        assert answer in (told, Answer.NEITHER)
        if changes == self.changes:
            assert answer is told, 'nothing has happened since'

    def give_for_long(self, node):
        self.give(node, noted=True)

    def wait(self, seconds):
        self.now += seconds
        self.begun.clear()  # which is too old by then
        if self.going:  # nobody takes that long to delete
            self.delete(0)


STEPS = st.tuples(
    st.sampled_from(
        [
            *('commit', 'commit', 'leave_trace', 'delete', 'give_for_long'),
            'begin',
            *('show', 'give') * 2,
        ]
    ),
    st.integers(0, 1),
)
WAITS = st.sampled_from([SETTLED, SETTLED + 2 * SKEW, KEPT + 2 * SKEW])


@hypothesis.settings(max_examples=300, deadline=None)
@hypothesis.given(
    st.sampled_from([(0, 0), (-30, 30), (30, -30)]),
    st.sampled_from([True, True, True, False]),
    st.lists(st.one_of(*[STEPS] * 4, WAITS), min_size=40, max_size=60),
)
@hypothesis.example(
    (-30, 30), True, [('commit', 1), SETTLED, ('show', 1), ('give', 0)]
)
@hypothesis.example(
    (0, 0),
    True,
    [
        *(('commit', 0), ('delete', 0), ('show', 0), ('commit', 0), KEPT / 2),
        *(('show', 0), ('delete', 0), ('give', 0)),
    ],
)
def test_whatever_happens_the_bytes_are_those_of_what_was_shown(
    skews, known, steps
):
    """Of one image, by workers whose clocks differ."""
    world = World(skews, known)
    for step in steps:
        if isinstance(step, float):
            world.wait(step)
        else:
            name, node = step
            getattr(world, name)(node)
