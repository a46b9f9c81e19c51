# SPDX-License-Identifier: Apache-2.0
"""What a tenant reads while a copy is being made, to the letter."""

import contextlib
import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import periodic
from glance_rawstore import wording
from glance_rawstore.tasks import progress
from tests.waiting import DEADLINE

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@pytest.mark.parametrize(
    ('count', 'expected'),
    [
        (0, '0 Bytes'),
        (1, '1 Byte'),
        (1023, '1023 Bytes'),
        (KIB, '1.0 KiB'),
        (1536, '1.5 KiB'),
        (1.1 * GIB, '1.1 GiB'),
        (2048 * GIB, '2.0 TiB'),
    ],
)
def test_sizes_in_binary_units(count, expected):
    assert wording.size(count) == expected


@pytest.mark.parametrize(
    ('seconds', 'expected'),
    [
        (-3, '0 s'),
        (0, '0 s'),
        (0.4, '0 s'),
        (9.4, '9 s'),
        (59.4, '59 s'),
        (59.6, '1 min 0 s'),
        (125, '2 min 5 s'),
        (3599, '59 min 59 s'),
        (3599.6, '1 h 0 min'),
        (3785, '1 h 3 min'),
        (200000, '55 h 33 min'),
    ],
)
def test_durations_in_two_units_at_most(seconds, expected):
    assert progress.duration(seconds) == expected


@pytest.mark.parametrize(
    ('done', 'total', 'elapsed', 'expected'),
    [
        (0, 3 * GIB, 0, 'Converting to raw: 0% (0 of 3.0 GiB written)'),
        (0, 3 * GIB, 5, 'Converting to raw: 0% (0 of 3.0 GiB written)'),
        (
            0.37,
            3 * GIB,
            10,
            'Converting to raw: 37% (1.1 of 3.0 GiB written, 114 MiB/s, '
            'about 17 s left)',
        ),
        (
            0.1,
            3 * GIB,
            60,
            'Converting to raw: 10% (307.2 MiB of 3.0 GiB written, 5 MiB/s, '
            'about 9 min 0 s left)',
        ),
        (
            0.01,
            2048 * GIB,
            600,
            'Converting to raw: 1% (20.5 GiB of 2.0 TiB written, 35 MiB/s, '
            'about 16 h 30 min left)',
        ),
        (
            1,
            3 * GIB,
            30,
            'Converting to raw: 100% (3.0 of 3.0 GiB written, 102 MiB/s, '
            'about 0 s left)',
        ),
    ],
)
def test_the_message_of_a_conversion(done, total, elapsed, expected):
    assert progress.message(done, total, elapsed) == expected


@given(
    # qemu-img tells hundredths of a percent
    done=st.integers(0, 10000).map(lambda part: part / 10000),
    total=st.integers(0, 1 << 63),
    elapsed=st.just(0) | st.floats(0.01, 10**8),
)
def test_there_is_a_message_for_everything(done, total, elapsed):
    text = progress.message(done, total, elapsed)

    assert text.startswith('Converting to raw: ')
    assert text.endswith(')')
    assert '-' not in text
    assert len(text) < 160


def test_a_conversion_tells_how_far_it_is():
    conversion = progress.Conversion(3 * GIB)

    assert '0% (0 of 3.0 GiB written)' in conversion()
    conversion.update(0.5)
    assert '50% (1.5 of 3.0 GiB written, ' in conversion()


def test_other_work_tells_how_long_it_has_taken(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now[0])
    elapsed = progress.Elapsed('Finishing')

    assert elapsed() == 'Finishing (0 s)'
    now[0] += 75
    assert elapsed() == 'Finishing (1 min 15 s)'


class Told:
    """Takes messages, and fails with those of which it is told to."""

    def __init__(self, error=None):
        self.messages = []
        self._error = error
        self._changed = threading.Condition()

    def __call__(self, message):
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()
        if self._error:
            raise self._error

    def wait_for(self, count):
        with self._changed:
            assert self._changed.wait_for(
                lambda: len(self.messages) >= count, DEADLINE
            )


def threads():
    """Those that tell."""
    return [t for t in threading.enumerate() if t.name == periodic.THREAD]


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(progress, 'INTERVAL', 0.01)


def test_the_first_message_does_not_wait():
    told = Told()

    with progress.reporting(told, lambda: 'now'):
        assert told.messages == ['now']


def test_it_is_told_at_least_every_two_seconds(monkeypatch):
    intervals = []

    def every(interval, _call):
        intervals.append(interval)
        return contextlib.nullcontext()

    monkeypatch.setattr(periodic, 'every', every)
    with progress.reporting(Told(), lambda: 'now'):
        pass

    (interval,) = intervals
    assert interval <= 2


@pytest.mark.usefixtures('quick')
def test_something_new_is_told_again_and_again():
    told = Told()

    with progress.reporting(told, lambda: f'message {len(told.messages)}'):
        told.wait_for(4)

    assert told.messages[:3] == ['message 0', 'message 1', 'message 2']


@pytest.mark.usefixtures('quick')
def test_a_report_that_fails_is_tried_again(caplog):
    told = Told(error=ConnectionError('database away'))

    with progress.reporting(told, lambda: 'now'):
        told.wait_for(3)

    assert 'database away' in caplog.text


@pytest.mark.usefixtures('quick')
def test_nothing_is_told_after_the_end():
    told = Told()

    with progress.reporting(told, lambda: 'now'):
        told.wait_for(2)

    assert threads() == []


@pytest.mark.usefixtures('quick')
def test_it_ends_with_an_error_too():
    told = Told()

    with (
        pytest.raises(ZeroDivisionError),
        progress.reporting(told, lambda: 'now'),
    ):
        raise ZeroDivisionError

    assert threads() == []


def test_one_that_waits_says_its_place_more_often_when_it_is_near():
    turn = progress.Turn('Waiting')
    said = []
    for before in (0, 2, 3, 200, 1000):
        turn.update(before)
        said.append((turn(), turn.interval()))

    assert said == [
        ('Waiting: it is next (0 s)', 2.0),
        ('Waiting: 2 before it (0 s)', 2.0),
        ('Waiting: 3 before it (0 s)', 10.0),
        ('Waiting: 200 before it (0 s)', 20.0),
        ('Waiting: 1000 before it (0 s)', 30.0),
    ]
