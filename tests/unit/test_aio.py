# SPDX-License-Identifier: Apache-2.0
"""Operations that are begun now and waited for later."""

import errno
import gc
import weakref

import pytest

from glance_rawstore import aio
from glance_rawstore import exceptions


class Completion:
    """Of an operation that ends when a test says so."""

    def __init__(self, number=0):
        self.number = number
        self.done = False
        self.waited = 0

    def is_complete(self):
        return self.done

    def wait_for_complete(self):
        self.waited += 1
        self.done = True

    def get_return_value(self):
        assert self.done
        return self.number


def underway(number=0, result='read', refused=None):
    return aio.Underway(Completion(number), lambda: result, refused or {})


def test_the_result_is_there_when_the_operation_has_ended():
    begun = underway()
    assert not begun.ended

    assert begun.result() == 'read'
    assert begun.ended


def test_a_result_is_made_once_however_often_it_is_asked_for():
    """What was read is an iterator."""
    found = iter([1, 2])
    begun = aio.Underway(Completion(), lambda: list(found), {})

    assert begun.result() == begun.result() == [1, 2]
    assert begun._completion.waited == 1


def test_results_are_made_of_results():
    assert underway().then(len).result() == 4
    refused = underway(-errno.ENOENT, refused={errno.ENOENT: ''})
    assert refused.then(len).result() == 0


@pytest.mark.parametrize(
    ('number', 'error'),
    [
        (errno.ENOENT, exceptions.NotFound),
        (errno.EDQUOT, exceptions.NoSpace),
        (errno.ENOSPC, exceptions.NoSpace),
        (errno.ETIMEDOUT, exceptions.CephUnavailable),
        (errno.ESHUTDOWN, exceptions.Blocklisted),
    ],
)
def test_errors_are_ours(number, error):
    with pytest.raises(error):
        underway(-number).result()


def test_what_is_left_is_kept_until_it_has_ended():
    """Until then librados writes to where it was told."""
    kept, other = Completion(), underway()
    found = iter(())
    begun = aio.Underway(kept, lambda: list(found), {})
    alive = weakref.ref(begun)

    aio.leave(begun)
    del begun
    gc.collect()
    aio.leave(other)
    assert alive() is not None
    assert kept.waited == 0

    kept.done = True
    aio.leave(underway())
    gc.collect()
    assert alive() is None
    assert other in aio._left


def test_what_has_ended_is_not_kept():
    begun = underway()
    begun.result()

    aio.leave(begun)

    assert not aio._left


def test_the_interpreter_ends_when_what_was_left_has_ended(monkeypatch):
    first, second = underway(), underway()
    aio.leave(first)
    aio.leave(second)
    slept = []

    def sleep(seconds):
        slept.append(seconds)
        (first, second)[len(slept) - 1]._completion.done = True

    monkeypatch.setattr(aio.time, 'sleep', sleep)

    aio._end()

    assert len(slept) == 2


def test_the_interpreter_does_not_wait_for_ever(monkeypatch):
    """As in a child that was forked off: nothing ever ends there."""
    monkeypatch.setattr(aio, 'PATIENCE', 0.05)
    aio.leave(underway())

    aio._end()

    assert len(aio._left) == 1
