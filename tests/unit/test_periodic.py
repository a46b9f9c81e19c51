# SPDX-License-Identifier: Apache-2.0
"""Something is done now and then, and its end is waited for, or not."""

import threading

import pytest

from glance_rawstore import periodic
from tests.waiting import DEADLINE
from tests.waiting import eventually


def threads():
    return [t for t in threading.enumerate() if t.name == periodic.THREAD]


class Slow:
    """A call that goes on until it may end."""

    def __init__(self):
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.ended = False

    def __call__(self):
        self.begun.set()
        assert self.may_end.wait(DEADLINE)
        self.ended = True


def test_it_is_called_again_and_again_after_errors_too(caplog):
    calls = threading.Semaphore(0)

    def call():
        calls.release()
        raise ConnectionError('nobody answers')

    with periodic.every(0.01, call):
        assert all([calls.acquire(timeout=DEADLINE) for _ in range(3)])

    assert 'nobody answers' in caplog.text


def test_it_is_not_called_before_its_time():
    calls = []

    with periodic.every(DEADLINE, lambda: calls.append(1)):
        pass

    assert calls == []


def test_a_call_under_way_is_waited_for():
    slow = Slow()

    with periodic.every(0.01, slow):
        assert slow.begun.wait(DEADLINE)
        threading.Timer(0.05, slow.may_end.set).start()

    assert slow.ended
    assert not threads()


def test_a_call_under_way_is_waited_for_no_longer_than_told():
    slow = Slow()

    with periodic.every(0.01, slow, patience=0.01):
        assert slow.begun.wait(DEADLINE)

    assert not slow.ended
    slow.may_end.set()
    eventually(lambda: not threads(), 'it ends')


def test_an_error_of_the_context_ends_it():
    with pytest.raises(ZeroDivisionError), periodic.every(0.01, lambda: None):
        raise ZeroDivisionError

    assert not threads()
