# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once, over threads and processes."""

import contextlib
import os
import signal
import subprocess
import sys
import threading

import pytest

from glance_rawstore import slots
from tests.waiting import DEADLINE

# Takes a slot, says so, and keeps it until told to end.
HOLDER = """
import sys, time
from glance_rawstore import slots
with slots.slot(sys.argv[1], int(sys.argv[2]), time.sleep):
    print('held', flush=True)
    sys.stdin.readline()
"""


class NoSlot(Exception):
    """There was none, and waiting was refused."""


def refuse(_seconds):
    raise NoSlot


@contextlib.contextmanager
def taken(directory, count=1):
    with slots.slot(str(directory), count, refuse):
        yield


@contextlib.contextmanager
def holder(directory, count=1):
    """Another process that holds a slot."""
    process = subprocess.Popen(
        [sys.executable, '-c', HOLDER, str(directory), str(count)],
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


def test_the_directory_is_made(tmp_path):
    directory = tmp_path / 'new' / 'scratch'

    with taken(directory):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_nothing_but_empty_files_is_left(tmp_path):
    with taken(tmp_path, 2), taken(tmp_path, 2):
        pass

    assert [
        (tmp_path / name).stat().st_size for name in os.listdir(tmp_path)
    ] == [0, 0]


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
