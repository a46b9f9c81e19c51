# SPDX-License-Identifier: Apache-2.0
"""Those who wait for a slot in one process look at their places together."""

import os
import time

import pytest

from glance_rawstore import board
from glance_rawstore import tickets

#: Nanoseconds since the epoch at which nothing has happened of late.
LONG_AGO = 10**18


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch):
    monkeypatch.setattr(board, '_AGAIN', 1e9)


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path)


@pytest.fixture
def looks(monkeypatch):
    """The looks so far, whoever's."""
    found, made = tickets.found, []

    def look(directory):
        made.append(directory)
        return found(directory)

    monkeypatch.setattr(tickets, 'found', look)
    return made


@pytest.fixture
def waiting(directory):
    """Three that wait, in the order of their arrival."""
    held = [tickets.Slot(directory, 'project') for _ in range(3)]
    yield held
    for each in held:
        each.close()


def settle(directory, changed=LONG_AGO):
    """As if it had changed then."""
    with tickets.alone(directory):
        os.utime(directory, ns=(changed, changed))


def places(shared, waiting):
    return [shared.look(each.path)[0] for each in waiting]


def test_they_look_once_while_nothing_changes(directory, waiting, looks):
    settle(directory)
    shared = board.Board(directory, 1)

    for _ in range(5):
        assert places(shared, waiting) == [0, 1, 2]

    assert len(looks) == 1


def test_only_those_whose_turn_it_may_be_are_to_look_themselves(
    directory, waiting
):
    with tickets.Slot(directory, 'other', runs=True):
        shared = board.Board(directory, 2)
        found = [shared.look(each.path) for each in waiting]

    assert [may_begin for *_, may_begin in found] == [True, False, False]
    assert [before for before, *_ in found] == [0, 1, 2]
    assert {count for _, count, _ in found} == {3}


def test_whoever_comes_and_goes_is_seen_at_once(directory, waiting, looks):
    runs = tickets.Slot(directory, 'other', runs=True)
    settle(directory)
    shared = board.Board(directory, 1)
    assert places(shared, waiting) == [0, 1, 2]

    waiting.pop(0).close()
    assert places(shared, waiting) == [0, 1]
    assert not shared.look(waiting[0].path)[2]
    runs.close()
    assert shared.look(waiting[0].path)[2]
    assert len(looks) >= 3


def test_what_may_have_changed_in_the_same_moment_is_looked_at_again(
    directory, waiting, looks
):
    settle(directory, time.time_ns() + 10**12)
    shared = board.Board(directory, 1)

    for number in range(1, 4):
        shared.look(waiting[0].path)
        assert len(looks) == number


def test_one_that_dies_is_seen_after_a_while(directory, waiting):
    """Nothing of the directory changes when a process is killed."""
    runs = tickets.Slot(directory, 'other', runs=True)
    settle(directory)
    shared = board.Board(directory, 1)
    assert not shared.look(waiting[0].path)[2]
    runs._file.close()
    assert not shared.look(waiting[0].path)[2]

    shared._until = 0.0

    assert shared.look(waiting[0].path)[2]
    assert not os.path.exists(runs.path)


def test_who_asks_is_noted_and_who_does_not_is_passed_over(
    directory, waiting, monkeypatch
):
    monkeypatch.setattr(board, '_ABSENT', 0)
    absent, *others = waiting
    settle(directory)
    shared = board.Board(directory, 1)
    places(shared, others)
    shared._until = 0.0

    before, count, may_begin = shared.look(others[1].path)

    assert (before, count, may_begin) == (0, 1, True)
    looked = {seen.path: seen.looked for seen in tickets.found(directory)}
    assert looked[others[1].path] > looked[absent.path]


def test_one_that_is_not_there_is_to_look_itself(directory):
    """Somebody has tidied its file away."""
    shared = board.Board(directory, 1)

    assert shared.look(os.path.join(directory, 'gone')) == (0, 0, True)


def test_who_cannot_look_now_keeps_what_was_seen(directory, waiting):
    """Another process was stopped while it looked."""
    with tickets.Slot(directory, 'other', runs=True):
        shared = board.Board(directory, 1)
        assert places(shared, waiting) == [0, 1, 2]
        shared._until = 0.0
        with tickets.alone(directory) as alone:
            assert alone
            assert shared.look(waiting[2].path) == (2, 3, False)


def test_those_of_one_directory_share_a_board(directory):
    assert board.shared(directory, 2) is board.shared(directory, 2)
    assert board.shared(directory, 2) is not board.shared(directory, 3)


def test_who_keeps_others_from_looking_keeps_them_once(directory):
    """Not each of those who wait, one after the other."""
    held = [tickets.Slot(directory, 'project') for _ in range(20)]
    shared = board.Board(directory, 1)
    tried = []
    alone = tickets.alone

    def counted(where):
        tried.append(where)
        return alone(where)

    with tickets.alone(directory), pytest.MonkeyPatch.context() as patch:
        patch.setattr(tickets, 'alone', counted)
        patch.setattr(board, '_SOON', 60.0)
        for each in held:
            shared.look(each.path)

    assert len(tried) == 1
    for each in held:
        each.close()
