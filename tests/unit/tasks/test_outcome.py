# SPDX-License-Identifier: Apache-2.0
"""How a conversion goes is counted, and told to whoever listens."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import tally
from glance_rawstore.lifecycle.events import Event
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit.tasks.conftest import ID


def counted(work):
    return tally.read(work.world.pool.ioctx)


def failed(work):
    return {r: n for r, n in counted(work).failures.items() if n}


def told(work):
    return [event for event, _ in work.catalog.told]


def test_a_copy_that_is_made_is_counted_and_told(work):
    work.run()

    assert counted(work).results['succeeded'] == 1
    assert counted(work).written == len(DATA)
    (task_id,) = work.catalog.tasks
    usual = {
        'image_id': ID,
        'store': 'raw',
        'request': 'request',
        'task_id': task_id,
        'virtual_size_bytes': SIZE,
    }
    start, end = work.catalog.told
    assert start == (
        Event.START,
        {**usual, 'data_bytes': len(DATA), 'resumed_at_percent': 0},
    )
    seconds = end[1].pop('seconds')
    assert 0 <= seconds < 60
    assert end == (Event.END, {**usual, 'bytes_used': len(DATA)})


@pytest.mark.parametrize(
    ('error', 'reason', 'message'),
    [
        (exceptions.NoSpace(), 'no_space', exceptions.NoSpace.sentence),
        (RuntimeError('/secret/path'), 'internal', 'The raw copy failed.'),
    ],
)
def test_a_failure_is_told_with_its_reason(work, error, reason, message):
    def fail(_calls):
        raise error

    work.converter.during = fail
    work.run()

    assert told(work) == [Event.START, Event.ERROR]
    said = work.catalog.told[-1][1]
    assert (said['reason'], said['message']) == (reason, message)
    assert failed(work) == {reason: 1}


def test_a_refusal_is_told_without_a_start(work):
    work.catalog.change(ID, disk_format='ploop')

    work.run()

    assert told(work) == [Event.ERROR]
    assert failed(work) == {'unsupported_format': 1}


def test_nothing_to_do_is_neither_counted_nor_told(work):
    work.world.copy(ID)

    work.run()

    assert told(work) == []
    assert sum(counted(work).results.values()) == 0


def test_what_is_handed_over_is_counted_and_not_told(work):
    handover.Presence(work.world.pool.ioctx).show()
    work.converter.during = lambda calls: work.stop.set()

    work.run()

    assert told(work) == [Event.START]
    assert counted(work).results['handed_over'] == 1


def test_counts_that_cannot_be_written_fail_nothing(work, monkeypatch):
    def add(_ioctx, _additions):
        raise RuntimeError('no such class')

    monkeypatch.setattr(tally, 'add', add)

    assert work.run().status == 'success'
