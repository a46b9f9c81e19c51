# SPDX-License-Identifier: Apache-2.0
"""Uses are counted in memory, and written down now and then."""

import threading

import pytest

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import uses
from glance_rawstore.lifecycle.uses import Use
from glance_rawstore.raw_view import counting
from glance_rawstore.raw_view.counting import Counter
from tests.waiting import eventually

NOW = 1_000_000.0
HOUR = 3600.0


@pytest.fixture
def now():
    """Seconds since the epoch; stand still."""
    return [NOW]


@pytest.fixture
def make_counter(world, now):
    made = []

    def make():
        made.append(Counter(world.settings, HOUR, lambda: now[0]))
        return made[-1]

    yield make
    for counter in made:
        counter.stop()


@pytest.fixture
def counter(make_counter, monkeypatch):
    """One that writes when a test says so."""
    monkeypatch.setattr(Counter, '_start', lambda counter: None)
    return make_counter()


def written(world):
    return uses.read_all(world.pool.ioctx)


def test_nothing_is_written_by_counting(counter, world, now):
    for number in range(100):
        counter.used('one', f'req-{number}')
    assert written(world) == {}

    assert counter.write()

    assert written(world) == {'one': Use(last=NOW, score=100.0, at=NOW)}


def test_what_is_written_is_not_written_again(counter, world):
    counter.used('one', 'req-1')
    counter.write()

    assert counter.write()

    assert written(world)['one'].score == 1.0


def test_nothing_counted_does_not_even_connect(counter, world):
    with world.away():
        assert counter.write()


def test_calls_of_one_consumer_are_one_use_for_a_while(counter, world, now):
    for _ in range(3):
        counter.used('one', 'req-1')
        now[0] += counting.SAME_USE / 4
    counter.used('two', 'req-1')
    counter.used('one', 'req-2')
    now[0] += counting.SAME_USE
    counter.used('one', 'req-1')

    counter.write()

    scores = {i: use.score for i, use in written(world).items()}
    assert scores == {
        'one': pytest.approx(3.0, abs=0.1),
        'two': pytest.approx(1.0, abs=0.1),
    }


def test_one_use_stays_one_across_a_write(counter, world):
    counter.used('one', 'req-1')
    counter.write()
    counter.used('one', 'req-1')
    counter.write()

    assert written(world)['one'].score == 1.0


def test_a_clock_that_is_set_back_does_not_stop_the_counting(
    counter, world, now
):
    counter.used('one', 'req-1')
    now[0] -= 10 * HOUR
    counter.used('one', 'req-1')

    counter.write()

    assert written(world)['one'].score > 1.0


def test_what_cannot_be_written_is_kept(counter, world, now):
    counter.used('one', 'req-1')
    counter.asked('two')
    with world.away():
        assert not counter.write()
        counter.used('one', 'req-2')
        assert not counter.write()

    assert counter.write()

    assert written(world)['one'].score == 2.0
    assert written(world)['two'].asked == NOW


def test_a_batch_that_was_written_is_not_written_again_after_an_error(
    counter, world, monkeypatch
):
    monkeypatch.setattr(uses, 'BATCH', 1)
    for image_id in ('one', 'two', 'three'):
        counter.used(image_id, 'req-1')
    add, calls = uses.add, []

    def fail_once(*args):
        calls.append(args)
        if len(calls) == 2:
            raise exceptions.CephUnavailable()
        add(*args)

    monkeypatch.setattr(uses, 'add', fail_once)
    assert not counter.write()
    assert counter.write()

    scores = [use.score for use in written(world).values()]
    assert scores == [1.0, 1.0, 1.0]


def test_an_ask_that_is_not_told_is_told_later_and_is_no_use(
    counter, world, monkeypatch
):
    counter.used('one', 'req-1')
    counter.asked('one')
    with monkeypatch.context() as patched:
        patched.setattr(handover, 'ask', None)
        assert not counter.write()
    assert handover.all_offered(world.pool.ioctx) == {}

    assert counter.write()

    assert handover.all_offered(world.pool.ioctx) == {'one': ''}
    assert written(world)['one'].score == 1.0


def test_memory_does_not_grow_while_ceph_is_away(counter, world, monkeypatch):
    monkeypatch.setattr(counting, 'MOST', 10)
    with world.away():
        for number in range(1000):
            counter.used(f'image-{number}', f'req-{number}')
            counter.used('image-0', f'req-{number}')
            if not number % 100:
                counter.write()
        assert len(counter._counts) == 10
        assert len(counter._calls) <= 10

    counter.write()

    assert written(world)['image-0'].score == pytest.approx(1000.0)


def test_a_write_follows_within_the_interval(make_counter, world, monkeypatch):
    monkeypatch.setattr(counting, 'INTERVAL', 0.05)
    monkeypatch.setattr(counting, 'PROMPT', 0.01)
    make_counter().used('one', 'req-1')

    eventually(lambda: 'one' in written(world), 'the use is written')


def test_who_asks_for_what_was_evicted_need_not_wait_for_it(
    make_counter, world, monkeypatch
):
    monkeypatch.setattr(counting, 'PROMPT', 0.01)
    counter = make_counter()
    for image_id in ('one', 'two'):
        counter.asked(image_id)

        eventually(
            lambda image_id=image_id: (
                image_id in handover.all_offered(world.pool.ioctx)
            ),
            'the agents are told',
        )
        assert written(world)[image_id].asked == NOW


def test_an_ask_is_told_when_the_cluster_is_back(
    make_counter, world, monkeypatch
):
    monkeypatch.setattr(counting, 'AGAIN', 0.02)
    tried = threading.Event()
    write = Counter.write

    def trying(counter):
        try:
            return write(counter)
        finally:
            tried.set()

    monkeypatch.setattr(Counter, 'write', trying)
    with world.away():
        make_counter().asked('one')
        assert tried.wait(20)

    eventually(
        lambda: handover.all_offered(world.pool.ioctx) == {'one': ''},
        'the agents are told',
    )


def test_a_process_that_ends_writes_what_it_has(make_counter, world):
    counter = make_counter()
    counter.used('one', 'req-1')

    counter.stop()

    assert written(world)['one'].score == 1.0


def test_a_process_that_ends_does_not_wait_for_ceph_for_long(
    make_counter, world, monkeypatch
):
    monkeypatch.setattr(counting, '_GRACE', 0.05)
    stuck = threading.Event()
    monkeypatch.setattr(Counter, 'write', lambda counter: stuck.wait(20))
    counter = make_counter()
    counter.used('one', 'req-1')

    counter.stop()

    assert counter._thread.is_alive()
    stuck.set()
    counter._thread.join(20)


def test_no_thread_is_there_before_there_is_something_to_count(make_counter):
    """A worker may be forked until then."""
    counter = make_counter()
    assert counter._thread is None

    counter.used('one', 'req-1')

    assert counter._thread.is_alive()
    assert counter._thread.daemon
