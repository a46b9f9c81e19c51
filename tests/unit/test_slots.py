# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once, over threads and processes."""

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from glance_rawstore import board
from glance_rawstore import slots
from glance_rawstore import tickets
from tests.waiting import DEADLINE
from tests.waiting import eventually

# Takes a slot, says so, and keeps it until told to end.
HOLDER = """
import sys, time
from glance_rawstore import board
from glance_rawstore import slots
with slots.slot(sys.argv[1], int(sys.argv[2]), time.sleep) as held:
    exec(sys.argv[3])
    print('held', flush=True)
    sys.stdin.readline()
"""

# Waits for a slot until it is killed, and says so.
WAITER = """
import sys, time
from glance_rawstore import board
from glance_rawstore import slots
def wait(seconds):
    print('waits', flush=True)
    time.sleep(60)
with slots.slot(sys.argv[1], 0, wait, 'dead'):
    pass
"""


class NoSlot(Exception):
    """There was none, and waiting was refused."""


def refuse(_seconds):
    raise NoSlot


@contextlib.contextmanager
def taken(directory, count=1):
    with slots.slot(str(directory), count, refuse) as held:
        yield held


@contextlib.contextmanager
def holder(directory, count=1, also='pass'):
    """Another process that holds a slot, and does something with it."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(directory), str(count), also],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout.readline() == b'held\n'
            yield process
        finally:
            process.kill()
            process.wait(DEADLINE)


@contextlib.contextmanager
def dead(directory):
    """Another process that waits for a slot, and is killed at the end."""
    process = subprocess.Popen(
        [sys.executable, '-c', WAITER, str(directory)],
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            assert process.stdout.readline() == b'waits\n'
            yield
        finally:
            process.kill()
            process.wait(DEADLINE)


class Queue:
    """Threads that want the one slot of a node.

    :ivar had: who had it, in this order
    :ivar before: how many had their turn before, as each was told
    """

    def __init__(self, directory):
        self._directory = str(directory)
        self._threads = []
        self.count = 1
        self.had = []
        self.before = {}

    def join_in(self, key, wait=time.sleep):
        """Come, and be heard of; the key begins with the project."""
        thread = threading.Thread(target=self._want, args=(key, wait))
        self._threads.append(thread)
        thread.start()
        eventually(lambda: key in self.before, f'{key} waits')

    def _want(self, key, wait):
        def told(before):
            self.before.setdefault(key, []).append(before)

        with slots.slot(self._directory, self.count, wait, key[0], told):
            self.had.append(key)

    def end(self):
        for thread in self._threads:
            thread.join(DEADLINE)
        return ' '.join(self.had)


@pytest.fixture
def queue(tmp_path, monkeypatch):
    monkeypatch.setattr(slots, '_RETRY', 0.01)
    return Queue(tmp_path)


def test_a_slot_is_taken_and_given_back(tmp_path):
    for _ in range(3):
        with taken(tmp_path):
            pass


def test_a_slot_is_given_back_after_an_error(tmp_path):
    with contextlib.suppress(ZeroDivisionError), taken(tmp_path):
        raise ZeroDivisionError

    with taken(tmp_path):
        pass


@pytest.mark.parametrize('count', [1, 2, 5])
def test_there_are_as_many_slots_as_configured(tmp_path, count):
    with contextlib.ExitStack() as held:
        for _ in range(count):
            held.enter_context(taken(tmp_path, count))

        with pytest.raises(NoSlot):
            held.enter_context(taken(tmp_path, count))


def test_threads_of_one_process_are_counted(tmp_path):
    """An API process converts in threads; locks of fcntl() ignore these."""
    found = []

    def other():
        try:
            with taken(tmp_path):
                found.append('taken')
        except NoSlot:
            found.append('refused')

    with taken(tmp_path):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(DEADLINE)
    other()

    assert found == ['refused', 'taken']


def test_processes_of_one_node_are_counted(tmp_path):
    with holder(tmp_path, 2), holder(tmp_path, 2):
        with pytest.raises(NoSlot), taken(tmp_path, 2):
            pass
        with taken(tmp_path, 3):
            pass


def test_the_slot_of_a_killed_process_is_free(tmp_path):
    with holder(tmp_path) as process:
        with pytest.raises(NoSlot), taken(tmp_path):
            pass
        process.send_signal(signal.SIGKILL)
        process.wait(DEADLINE)

        with taken(tmp_path):
            pass


def test_who_waits_gets_the_slot_when_it_is_free(tmp_path):
    waits = []
    with holder(tmp_path) as process:

        def wait(seconds):
            waits.append(seconds)
            if len(waits) == 2:
                process.stdin.write(b'\n')
                process.stdin.flush()
                process.wait(DEADLINE)

        with slots.slot(str(tmp_path), 1, wait):
            assert len(waits) == 2

    assert all(0 < seconds <= 1 for seconds in waits)


def test_who_begins_next_looks_most_often():
    pauses = [slots._pause(before, 2, 20) for before in range(20)]

    assert pauses == sorted(pauses)
    assert pauses[:2] == [slots._FIRST] * 2
    assert pauses[4:] == [slots._RETRY] * 16


@pytest.mark.parametrize('waiting', [150, 1000, 5000])
def test_looks_take_little_though_many_wait(waiting):
    look = waiting * 10e-6  # seconds of a core

    for before in (0, 1, 2, 3):
        pause = slots._pause(before, 2, waiting)
        assert look <= pause / 20 * 1.001


def test_waiting_ends_with_what_the_wait_raises(tmp_path):
    with taken(tmp_path), pytest.raises(NoSlot), taken(tmp_path):
        pass


def test_a_slot_at_once_is_one_that_is_free(tmp_path):
    with slots.at_once(str(tmp_path), 1):
        assert slots.at_once(str(tmp_path), 1) is None
        with pytest.raises(NoSlot), taken(tmp_path):
            pass

    with taken(tmp_path):
        assert slots.at_once(str(tmp_path), 1) is None


def test_nobody_gets_one_at_once_before_those_who_wait(tmp_path):
    """Imports that come and come would starve them."""
    found = []

    def wait(_seconds):
        first.close()
        found.append(slots.at_once(str(tmp_path), 1))

    first = slots.at_once(str(tmp_path), 1)
    with slots.slot(str(tmp_path), 1, wait):
        assert found == [None]

    with slots.at_once(str(tmp_path), 1):
        pass


@pytest.mark.parametrize('count', [1, 2, 3])
def test_another_begins_when_all_is_converted_but_not_without_end(
    tmp_path, count
):
    """Who commits waits for Ceph, and a core would be idle meanwhile."""
    with contextlib.ExitStack() as held:
        for _ in range(count):
            held.enter_context(taken(tmp_path, count)).end()
        last = [
            held.enter_context(taken(tmp_path, count)) for _ in range(count)
        ]
        last.pop().end()

        with pytest.raises(NoSlot), taken(tmp_path, count):
            pass
        assert slots.at_once(str(tmp_path), count) is None

    with taken(tmp_path, count):
        pass


def test_one_that_died_while_it_ended_holds_nobody_up(tmp_path):
    dies = holder(tmp_path, 1, 'held.end()')
    with dies as process, taken(tmp_path) as second:
        second.end()
        with pytest.raises(NoSlot), taken(tmp_path):
            pass
        process.kill()
        process.wait(DEADLINE)
        with taken(tmp_path):
            pass

    with taken(tmp_path):
        pass


def test_an_end_whose_file_was_tidied_away_is_one(tmp_path):
    with taken(tmp_path) as held:
        for path in tmp_path.glob('*-running-*'):
            path.unlink()
        held.end()

    assert [path.name for path in tmp_path.iterdir()] == [tickets._GUARD]


def test_an_end_that_cannot_be_told_undoes_nothing(
    tmp_path, monkeypatch, caplog
):
    """All is converted; the next one begins when this one is given back."""

    def refuse(*_args):
        raise OSError(errno.EROFS, 'Read-only file system')

    with taken(tmp_path) as held:
        with monkeypatch.context() as broken:
            broken.setattr(os, 'rename', refuse)
            held.end()
        assert 'Read-only' in caplog.text
        with pytest.raises(NoSlot), taken(tmp_path):
            pass

    with taken(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [tickets._GUARD]


def test_nobody_looks_while_one_ends(tmp_path, monkeypatch):
    """It would have the new name, and be looked at under the old one."""
    seen = []
    rename = os.rename

    def look(*args):
        with tickets.alone(str(tmp_path)) as alone:
            seen.append(alone)
        rename(*args)

    with taken(tmp_path) as held:
        monkeypatch.setattr(os, 'rename', look)
        held.end()

    assert seen == [False]


def test_a_slot_whose_file_cannot_be_removed_is_given_back(
    tmp_path, monkeypatch
):
    def refuse(*_args):
        raise OSError(errno.EIO, 'Input/output error')

    held = slots.at_once(str(tmp_path), 1)
    with monkeypatch.context() as broken:
        broken.setattr(os, 'unlink', refuse)
        with pytest.raises(OSError, match='Input/output error'):
            held.close()

    with taken(tmp_path):
        pass


def test_who_asks_whether_it_is_wanted_disturbs_nobody(tmp_path, monkeypatch):
    """A ticket that is made just now has its file, and no lock yet."""
    flock = tickets.fcntl.flock
    told = []

    def made(file, how):
        if 'waiting' in str(file.name) and not told:
            told.append(slots.wanted(str(tmp_path)))
        flock(file, how)

    monkeypatch.setattr(tickets.fcntl, 'flock', made)
    with taken(tmp_path):
        assert told == [False]
        assert len(list(tmp_path.glob('*-running-*'))) == 1


def test_it_is_wanted_while_somebody_waits(queue, tmp_path):
    with taken(tmp_path):
        assert not slots.wanted(str(tmp_path))
        queue.join_in('a1')
        eventually(lambda: slots.wanted(str(tmp_path)), 'a1 waits')
    queue.end()

    assert not slots.wanted(str(tmp_path))


def test_the_directory_is_made(tmp_path):
    directory = tmp_path / 'new' / 'scratch'

    with taken(directory):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_nothing_but_an_empty_file_is_left(tmp_path):
    with taken(tmp_path, 2), taken(tmp_path, 2):
        pass

    assert [path.stat().st_size for path in tmp_path.iterdir()] == [0]


def test_what_killed_processes_leave_is_removed(tmp_path):
    with dead(tmp_path), dead(tmp_path):
        assert len(list(tmp_path.iterdir())) == 3

    with taken(tmp_path):
        assert len(list(tmp_path.iterdir())) <= 3
    with taken(tmp_path):
        pass

    assert [path.name for path in tmp_path.iterdir()] == [tickets._GUARD]


def test_a_slot_is_not_handed_on_to_children(tmp_path):
    """A child that outlives the conversion would keep it."""
    with taken(tmp_path):
        child = subprocess.Popen(['sleep', '60'])
    try:
        with taken(tmp_path):
            pass
    finally:
        child.kill()
        child.wait(DEADLINE)


def test_projects_take_turns(queue, tmp_path):
    with taken(tmp_path):
        for key in ('a1', 'a2', 'a3', 'b1', 'b2', 'c1'):
            queue.join_in(key)

    assert queue.end() == 'a1 b1 c1 a2 b2 a3'


def test_it_counts_for_whom_the_others_run(queue, tmp_path):
    queue.count = 2
    with slots.slot(str(tmp_path), 2, refuse, 'a'):
        with slots.slot(str(tmp_path), 2, refuse, 'c'):
            queue.join_in('a1')
            queue.join_in('b1')
        eventually(lambda: queue.had, 'one of them has its turn')

    assert queue.end() == 'b1 a1'


def test_it_counts_for_whom_those_end_that_let_others_begin(queue, tmp_path):
    queue.count = 2
    with contextlib.ExitStack() as held:
        ends, _runs = [
            held.enter_context(slots.slot(str(tmp_path), 2, refuse, owner))
            for owner in 'ac'
        ]
        queue.join_in('a1')
        queue.join_in('b1')
        ends.end()
        eventually(lambda: queue.had, 'one of them has its turn')

    assert queue.end() == 'b1 a1'


def test_who_waits_is_told_how_many_come_before(queue, tmp_path):
    with taken(tmp_path):
        for key in ('a1', 'a2', 'a3', 'b1'):
            queue.join_in(key)
        told = {key: before[0] for key, before in queue.before.items()}
        eventually(lambda: queue.before['a3'][-1] == 3, 'b1 comes before a3')
    queue.end()

    assert told == {'a1': 0, 'a2': 1, 'a3': 2, 'b1': 1}


def test_one_that_died_while_it_waited_holds_nobody_up(queue, tmp_path):
    with taken(tmp_path), dead(tmp_path), dead(tmp_path):
        queue.join_in('a1')
        assert queue.before['a1'][0] == 1, 'after one that is dead soon'

    assert queue.end() == 'a1'
    assert slots.at_once(str(tmp_path), 1) is not None


def test_nobody_is_kept_from_a_slot_at_once_by_the_dead(tmp_path):
    with dead(tmp_path):
        assert slots.at_once(str(tmp_path), 1) is None

    with slots.at_once(str(tmp_path), 1):
        pass


def test_one_that_does_not_come_for_its_turn_is_passed_over(
    queue, tmp_path, monkeypatch
):
    """Its process is stopped, or its database is away."""
    monkeypatch.setattr(board, '_ABSENT', 10**8)
    back = threading.Event()
    with taken(tmp_path):
        queue.join_in('a1', lambda _: back.wait(DEADLINE))
        queue.join_in('b1')

    eventually(lambda: queue.had == ['b1'], 'b1 has its turn')
    back.set()
    assert queue.end() == 'b1 a1'


def test_one_whose_file_was_tidied_away_has_its_turn(queue, tmp_path):
    with taken(tmp_path):
        queue.join_in('a1')
        for path in tmp_path.glob('*-waiting-*'):
            path.unlink()
        queue.join_in('b1')
        eventually(
            lambda: len(list(tmp_path.glob('*-waiting-*'))) == 2,
            'both are there again',
        )

    assert sorted(queue.end().split()) == ['a1', 'b1']


def test_one_that_was_stopped_while_it_looked_holds_up_no_import(
    queue, tmp_path
):
    with tickets.alone(str(tmp_path)) as alone:
        assert alone
        assert slots.at_once(str(tmp_path), 1) is None
        with pytest.raises(NoSlot), taken(tmp_path):
            pass


def test_any_text_may_be_the_owner_of_an_image(tmp_path):
    for owner in ('', '../../etc', 'a' * 255, '\0', 'ä/-'):
        with slots.slot(str(tmp_path), 1, refuse, owner):
            pass
