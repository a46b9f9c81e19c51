# SPDX-License-Identifier: Apache-2.0
"""How far a conversion is gets noted, and nothing waits for it."""

import threading

import pytest

from glance_rawstore import periodic
from tests.waiting import DEADLINE
from tests.waiting import eventually


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(periodic, 'INTERVAL', 0.01)


def threads():
    return [t for t in threading.enumerate() if t.name == periodic.THREAD]


class Notes:
    """Takes notes; fails with those of which it is told to."""

    def __init__(self):
        self.taken = []
        self.errors = []
        self.tries = threading.Semaphore(0)

    def __call__(self, percent):
        self.tries.release()
        if self.errors:
            raise self.errors.pop()
        self.taken.append(percent)

    def tried(self):
        assert self.tries.acquire(timeout=DEADLINE)


def test_whole_percents_are_noted_as_they_change():
    notes = Notes()

    with periodic.noting(notes) as note:
        for done, percent in ((0.0, 0), (0.379, 37), (1.0, 100)):
            note(done)
            eventually(lambda p=percent: notes.taken[-1:] == [p], 'a note')

    assert notes.taken == [0, 37, 100]


def test_what_has_not_changed_is_not_noted_again():
    notes, looks = Notes(), Notes()

    with periodic.noting(notes) as note, periodic.noting(looks) as note_other:
        notes.tried()
        for done in (0.001, 0.002, 0.009):
            note(done)
        for percent in range(1, 6):
            note_other(percent / 100)
            looks.tried()

    assert notes.taken == [0]


def test_a_note_that_failed_is_tried_again_and_not_a_warning(caplog):
    notes = Notes()
    notes.errors = [ConnectionError('away'), ValueError('odd')]

    with periodic.noting(notes):
        for _ in range(3):
            notes.tried()
        eventually(lambda: notes.taken == [0], 'it is noted')

    assert caplog.text == ''


def test_a_cluster_that_does_not_answer_holds_nothing_up(monkeypatch):
    monkeypatch.setattr(periodic, '_PATIENCE', 0.01)
    asked, answer = threading.Event(), threading.Event()

    def away(_percent):
        asked.set()
        answer.wait(DEADLINE)

    with periodic.noting(away) as note:
        assert asked.wait(DEADLINE)
        note(0.5)

    assert not answer.is_set()
    answer.set()
    eventually(lambda: not threads(), 'it ends')


def test_nothing_is_noted_after_the_end():
    notes = Notes()

    with periodic.noting(notes):
        assert threads()
        notes.tried()

    assert not threads()
