# SPDX-License-Identifier: Apache-2.0
"""Looking copies up while Ceph is away, or slow, or comes back."""

import dataclasses
import threading
import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import copies
from glance_rawstore.raw_view import promises
from glance_rawstore.raw_view import shared_pool
from tests.unit.raw_view.test_copies import counted
from tests.unit.raw_view.test_copies import look


@pytest.mark.parametrize(
    ('configured_timeout', 'expected'), [(-1, 5), (0, 5), (3, 3), (60, 5)]
)
def test_no_operation_takes_longer_than_seconds(
    world, chosen, configured_timeout, expected
):
    settings = dataclasses.replace(world.settings, timeout=configured_timeout)
    store = stores.Store('raw', stores.DRIVER, -1000, settings)

    assert copies.Window(store, chosen).shared.settings.timeout == expected


def answered(window, world, image_id):
    """Whether a look finds the copy, and how often it has asked Ceph."""
    asked = []
    world.cluster.on('operate_read_op', before=lambda: asked.append(1))
    found = look(window, image_id)
    world.cluster.events('operate_read_op')
    return bool(found), bool(asked)


def test_ceph_is_not_asked_for_a_while_after_an_error(
    window, world, clock, caplog
):
    image_id, _ = world.copy()
    assert look(window, image_id) != []

    with world.away():
        assert look(window, image_id) == []
    assert answered(window, world, image_id) == (False, False)
    clock[0] += shared_pool.PAUSE - 0.1
    assert answered(window, world, image_id) == (False, False)
    clock[0] += 0.2

    assert answered(window, world, image_id) == (True, True)
    assert caplog.text.count('are shown as their originals') == 1
    assert 'the raw store raw cannot be seen' in caplog.text


def test_a_cluster_that_is_away_at_the_start_is_connected_to_later(
    window, world, clock
):
    image_id, _ = world.copy()
    with world.away():
        assert look(window, image_id) == []
    clock[0] += shared_pool.PAUSE + 0.1

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]


def test_one_connection_is_kept(window, world, monkeypatch):
    connects = counted(monkeypatch, ceph.rados.Rados, 'connect')

    for _ in range(5):
        look(window, str(uuid.uuid4()))

    assert len(connects) == 1


def client(window):
    """The client by which requests read now."""
    return window.shared.read(lambda pool: pool.client)


def test_a_client_that_was_blocklisted_is_replaced_at_once(
    window, world, clock, monkeypatch, caplog
):
    """The library never connects such a one again."""
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    closed = counted(monkeypatch, ceph.rados.Rados, 'shutdown')
    former = client(window)
    world.cluster.blocklist.add(former.address)

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]

    assert client(window) is not former
    assert window.shared.away == 0
    assert f'anew, instead of by {former.address}' in caplog.text
    assert 'ceph osd blocklist ls' in caplog.text
    clock[0] += shared_pool.PAUSE - 0.1
    client(window)
    assert closed == [], 'others may be using it'
    clock[0] += 0.2
    client(window)
    assert len(closed) == 1


def test_what_was_begun_by_a_client_that_is_shut_out_since_is_read_anew(
    window, world
):
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    former = client(window)
    world.cluster.blocklist.add(former.address)
    begun = window.begin(image_id, fresh=True)
    noted = window.notes.begin(image_id, 'req-1')
    assert look(window, image_id) != []
    now = client(window)

    ((_, copy),) = window.look([image_id], False, begun)

    assert copy.status is Status.ACTIVE
    assert window.notes.noted(image_id, 'req-1', noted).note is None
    assert client(window) is now is not former, 'it has done nothing wrong'


def test_so_is_what_was_begun_where_another_request_just_connects_anew(
    window, world
):
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    world.cluster.blocklist.add(client(window).address)
    begun = window.begin(image_id, fresh=True)
    window.shared._drop(window.shared._current)

    ((_, copy),) = window.look([image_id], False, begun)

    assert copy.status is Status.ACTIVE
    assert window.shared.away == 0


def test_a_node_that_is_blocklisted_shows_originals_until_it_is_not(
    window, world, clock, caplog
):
    """All of its addresses at once; a new connection does not help."""
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    usual = world.cluster.blocklist
    world.cluster.blocklist = Everybody()

    assert look(window, image_id) == []
    assert answered(window, world, image_id) == (False, False)
    assert caplog.text.count('are shown as their originals') == 1
    assert 'ceph osd blocklist ls' in caplog.text
    world.cluster.blocklist = usual
    clock[0] += shared_pool.PAUSE + 0.1

    assert answered(window, world, image_id) == (True, True)


class Everybody:
    """A blocklist that names all addresses."""

    def __contains__(self, _address):
        return True


def test_many_requests_replace_a_client_once(window, world, monkeypatch):
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    connects = counted(monkeypatch, ceph.rados.Rados, 'connect')
    former, all_there = client(window), threading.Barrier(8)
    found = []

    def read(pool):
        if pool.client is former:
            all_there.wait(20)
        return pool.rbd_id(f'{image_id}_raw')

    world.cluster.blocklist.add(former.address)
    threads = [
        threading.Thread(target=lambda: found.append(window.shared.read(read)))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert len(connects) == 1
    assert len(found) == 8
    assert None not in found


def test_a_connection_that_fails_half_way_is_closed(
    window, world, clock, monkeypatch
):
    closed = counted(monkeypatch, ceph.rados.Rados, 'shutdown')

    def lost(_client):
        raise ceph.rados.TimedOut('no answer', errno=110)

    with monkeypatch.context() as patched:
        patched.setattr(ceph.rados.Rados, 'get_fsid', lost)
        assert look(window, 'a') == []
    assert len(closed) == 1
    clock[0] += shared_pool.PAUSE + 0.1
    image_id, _ = world.copy()

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]


class Stuck:
    """A cluster that takes its time to say that it does not answer.

    :ivar waiting: how many requests are in it
    """

    def __init__(self, monkeypatch):
        self.entered = threading.Event()
        self.answer = threading.Event()
        self.waiting = 0
        monkeypatch.setattr(ceph.rados.Rados, 'connect', self._connect)

    def _connect(self):
        self.waiting += 1
        self.entered.set()
        assert self.answer.wait(20)
        raise ceph.rados.TimedOut('no answer', errno=110)


def test_one_request_at_most_waits_for_a_cluster_that_is_away(
    window, clock, monkeypatch
):
    """A queue of them would each wait for a time-out, one after another."""
    monkeypatch.setattr(shared_pool, 'PATIENCE', 0.05)
    stuck = Stuck(monkeypatch)
    first = threading.Thread(target=look, args=(window, 'a'))
    first.start()
    assert stuck.entered.wait(20)

    others = [look(window, 'a') for _ in range(10)]

    assert others == [[]] * 10
    assert first.is_alive()
    assert stuck.waiting == 1
    stuck.answer.set()
    first.join(20)
    assert look(window, 'a') == []
    assert stuck.waiting == 1, 'the pause has begun'


def test_after_a_pause_one_request_finds_out_for_all(
    window, clock, monkeypatch
):
    monkeypatch.setattr(
        shared_pool, 'PATIENCE', 20
    )  # only before the first answer
    stuck = Stuck(monkeypatch)
    stuck.answer.set()
    assert look(window, 'a') == []
    clock[0] += shared_pool.PAUSE + 0.1
    stuck.answer.clear()
    stuck.entered.clear()
    trial = threading.Thread(target=look, args=(window, 'a'))
    trial.start()
    assert stuck.entered.wait(20)

    assert [look(window, 'a') for _ in range(10)] == [[]] * 10

    assert trial.is_alive()
    assert stuck.waiting == 2
    stuck.answer.set()
    trial.join(20)


def test_requests_that_wait_for_a_failing_connection_do_not_try_their_own(
    window, clock, monkeypatch
):
    monkeypatch.setattr(shared_pool, 'PATIENCE', 20)
    stuck = Stuck(monkeypatch)
    threads = [
        threading.Thread(target=look, args=(window, 'a')) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert stuck.entered.wait(20)

    stuck.answer.set()
    for thread in threads:
        thread.join(20)

    assert stuck.waiting == 1


def test_the_first_requests_wait_for_a_connection_that_comes(
    window, world, monkeypatch
):
    monkeypatch.setattr(shared_pool, 'PATIENCE', 20)
    image_id, _ = world.copy()
    connect = ceph.rados.Rados.connect
    entered, go_on = threading.Event(), threading.Event()
    found = []

    def slowly(client):
        entered.set()
        assert go_on.wait(20)
        connect(client)

    monkeypatch.setattr(ceph.rados.Rados, 'connect', slowly)
    threads = [
        threading.Thread(target=lambda: found.append(look(window, image_id)))
        for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert entered.wait(20)
    go_on.set()
    for thread in threads:
        thread.join(20)

    assert found == [[(image_id, Status.ACTIVE)]] * 5


def test_requests_ask_side_by_side_while_ceph_answers(
    window, world, monkeypatch
):
    image_id, _ = world.copy()
    look(window, image_id)
    both = threading.Barrier(2)
    header = directory.header

    def meet(*args):
        both.wait(20)
        return header(*args)

    monkeypatch.setattr(directory, 'header', meet)
    threads = [
        threading.Thread(target=look, args=(window, image_id))
        for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert not both.broken


def test_who_connects_anew_while_it_is_told_has_the_last_word(
    window, world, clock, monkeypatch
):
    """Else an outage would be taken for an old one, at its first second."""
    image_id, _ = world.copy()
    assert look(window, image_id)

    def fails(_pool):
        raise exceptions.CephUnavailable

    with monkeypatch.context() as patch:
        looked = lambda *_args: look(window, image_id)  # noqa: E731
        patch.setattr(shared_pool.LOG, 'warning', looked)
        window.shared.read(fails)
    clock[0] += 1000
    assert look(window, image_id)
    assert window.shared.away == 0

    with world.away():
        look(window, image_id)
        assert window.shared.away < promises.OUTAGE


def test_what_cannot_be_understood_costs_no_connection(
    window, world, monkeypatch
):
    connects = counted(monkeypatch, ceph.rados.Rados, 'connect')

    def odd(_pool):
        raise UnicodeError

    for _ in range(5):
        with pytest.raises(UnicodeError):
            window.shared.read(odd)

    assert len(connects) == 1
