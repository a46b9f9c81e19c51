# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore events``"""

import json
import time
import uuid

import pytest

from glance_rawstore import evicted
from glance_rawstore.catalog import Requester
from glance_rawstore.lifecycle.evicted import Evicted
from tests.unit.tasks.conftest import ID

OTHER = str(uuid.uuid4())


@pytest.fixture
def naps(monkeypatch):
    """In the place of sleep: does something at each, and ends the last."""

    def patch(*actions):
        left = list(actions)

        def sleep(seconds):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(time, 'sleep', sleep)

    return patch


@pytest.fixture
def evict(world):
    def note(image_id=OTHER, policy='lru', ago=5.0):
        at = time.time() - ago
        evicted.note(world.pool.ioctx, image_id, Evicted(at, policy, 1 << 20))

    return note


def told(out):
    return [(each['image_id'], each['event']) for each in json.loads(out)]


def test_conversions_and_evictions_are_told_oldest_first(on_node, work, evict):
    evict()
    work.run()

    status, out, err = on_node('events')

    assert (status, err) == (0, '')
    head, first, second = out.splitlines()
    assert head.split() == [
        *('TIME', 'IMAGE', 'EVENT', 'SECONDS', 'REQUEST', 'MESSAGE')
    ]
    assert first.split()[2:] == [
        *(OTHER, 'evicted', '-', '-', 'by', 'the', 'policy', 'lru,'),
        *('1.0', 'MiB'),
    ]
    assert second.split()[2:6] == [ID, 'success', '0', 'request']
    assert second.endswith('made in 0 s.')


def test_a_program_gets_all_of_it(on_node, work):
    work.run()

    _, out, _ = on_node('events', '--format=json')

    (event,) = json.loads(out)
    (task_id,) = work.catalog.tasks
    assert event.pop('at') <= time.time()
    assert event.pop('seconds') >= 0
    assert event.pop('message').startswith('The raw copy is ready')
    assert event == {
        'image_id': ID,
        'event': 'success',
        'request_id': 'request',
        'task_id': task_id,
    }


@pytest.mark.parametrize('options', [(), ('--follow',)])
def test_an_id_that_a_tenant_has_made_up_moves_no_cursor(
    on_node, work, naps, options
):
    """Glance takes the id of a request from a header of it."""
    work.run()
    (task_id,) = work.catalog.tasks
    work.catalog.tasks[task_id].requester = Requester(
        'user', '\x1b[2Jreq\r\nforged'
    )
    naps()

    _, out, _ = on_node('events', *options)

    assert '\x1b' not in out
    assert '\r' not in out
    assert len(out.splitlines()) == (1 if options else 2)
    assert r"'\x1b[2Jreq\r\nforged'" in out


def test_it_can_be_narrowed(on_node, work, evict):
    work.run()
    evict(ago=7200.0)
    evict(str(uuid.uuid4()), 'operator', ago=60.0)

    def count(*args):
        return len(told(on_node('events', '--format=json', *args)[1]))

    assert count() == 3
    assert count('--since=1h') == 2
    assert count('--since=30s') == 1
    assert count('--limit=2') == 2
    assert count(ID) == 1
    assert count(ID, OTHER) == 2
    assert count(str(uuid.uuid4())) == 0


@pytest.mark.parametrize('option', ['--since=soon', '--limit=0'])
def test_what_makes_no_sense_is_wrong_usage(on_node, option):
    with pytest.raises(SystemExit) as caught:
        on_node('events', option)

    assert caught.value.code == 2


def test_what_is_no_id_is_told(on_node):
    status, _, err = on_node('events', 'x')

    assert status == 3
    assert 'not the id of an image' in err


def test_following_tells_each_thing_once(on_node, work, evict, naps, world):
    image = work.catalog.images[ID]
    requester = work.job().requester
    tasks = work.catalog

    def begin():
        tasks.create_task(image, 'raw', requester, 'Waiting.')

    def away():
        world.cluster.away = True

    def back():
        world.cluster.away = False
        tasks.begin_task(next(iter(tasks.tasks)), 'Preparing.')

    naps(
        begin,
        lambda: tasks.report(next(iter(tasks.tasks)), 'Still waiting.'),
        away,
        back,
        lambda: tasks.fail_task(next(iter(tasks.tasks)), 'Why.'),
        evict,
    )

    status, out, err = on_node('events', '--follow')

    assert status == 130
    assert 'did not answer' in err
    assert [line.split()[3] for line in out.splitlines()] == [
        *('pending', 'processing', 'failure', 'evicted')
    ]
    assert out.splitlines()[2].endswith('request  Why.')


def test_following_for_a_program_gives_lines(on_node, work, naps):
    work.run()
    naps()

    _, out, _ = on_node('events', '--follow', '--format=json')

    assert json.loads(out)['event'] == 'success'
