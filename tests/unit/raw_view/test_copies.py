# SPDX-License-Identifier: Apache-2.0
"""Looking copies up for requests, also while Ceph is away."""

import dataclasses
import threading
import types
import uuid

import pytest

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import inventory
from glance_rawstore import options
from glance_rawstore import stores
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import copies
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit import configured


@pytest.fixture
def clock(monkeypatch):
    """The time by which looks are rationed, in seconds; stands still."""
    now = [1000.0]
    still = types.SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(copies, 'time', still)
    return now


@pytest.fixture
def chosen(tmp_path):
    return options.Options.read(configured.read(tmp_path), 'raw')


@pytest.fixture
def window(world, chosen):
    store = stores.Store('raw', stores.DRIVER, -1000, world.settings)
    return copies.Window(store, chosen)


def look(window, *image_ids, trash=False):
    found = window.look(dict.fromkeys(image_ids, 100), trash)
    return sorted((image_id, copy.status) for image_id, copy in found)


def counted(monkeypatch, module, name):
    """Have the calls of a function noted."""
    calls = []
    function = getattr(module, name)

    def counting(*args):
        calls.append(args[1:])
        return function(*args)

    monkeypatch.setattr(module, name, counting)
    return calls


def test_an_active_copy_is_described(window, world):
    image_id, _ = world.copy()

    ((found_id, copy),) = window.look({image_id: 7}, trash=False)

    assert found_id == image_id
    url = f'rbd://{world.cluster.fsid}/images_raw/{image_id}_raw/snap'
    assert copy.url == url
    assert copy.store == 'raw'
    assert copy.status is Status.ACTIVE
    assert copy.size == SIZE
    assert copy.bytes_used == len(DATA)
    assert copy.weight == 7


def test_a_pending_copy_says_how_far_it_is(window, world):
    image_id, rbd_id = world.begin()
    world.pool.set_progress(image_id, rbd_id, 42)

    ((_, copy),) = window.look({image_id: 7}, trash=False)

    assert (copy.status, copy.progress) == (Status.PENDING, 42)


def test_many_images_are_looked_up_at_once(window, world):
    active = [world.copy()[0] for _ in range(3)]
    pending = world.begin()[0]
    absent = [str(uuid.uuid4()) for _ in range(3)]
    world.copy()

    assert look(window, *active, pending, *absent) == sorted(
        [(i, Status.ACTIVE) for i in active] + [(pending, Status.PENDING)]
    )


@pytest.mark.parametrize('pending', [False, True])
def test_what_is_in_the_trash_is_seen_by_those_who_ask_for_it(
    window, world, pending
):
    image_id, _ = world.begin() if pending else world.copy()
    name = f'{image_id}_raw.part' if pending else f'{image_id}_raw'
    ceph.rbd.RBD().trash_move(world.pool.ioctx, name, 0)

    assert look(window, image_id) == []
    assert look(window, image_id, trash=True) == [
        (image_id, Status.PENDING_DELETE)
    ]


def test_a_new_copy_hides_the_one_in_the_trash(window, world):
    image_id, _ = world.copy()
    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    world.copy(image_id)

    assert look(window, image_id, trash=True) == [(image_id, Status.ACTIVE)]


def test_the_trash_is_read_once_in_a_while(window, world, clock, monkeypatch):
    reads = counted(monkeypatch, inventory, 'trashed')
    image_id, _ = world.copy()
    for _ in range(5):
        look(window, str(uuid.uuid4()), trash=True)
    assert len(reads) == 1

    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    clock[0] += copies.TRASH_AGE + 0.1

    assert look(window, image_id, trash=True) != []
    assert len(reads) == 2


def test_one_that_was_purged_from_the_trash_is_not_shown(window, world, clock):
    image_id, rbd_id = world.copy()
    ceph.rbd.RBD().trash_move(world.pool.ioctx, f'{image_id}_raw', 0)
    assert look(window, image_id, trash=True) != []

    world.pool.purge(rbd_id)

    assert look(window, image_id, trash=True) == []


# Only what can be cloned is active


def test_a_copy_without_a_snapshot_cannot_be_cloned(window, world):
    """Nobody of ours leaves one so; an operator may."""
    image_id, _ = world.copy()
    with world.pool.image(f'{image_id}_raw') as image:
        image.unprotect_snap('snap')
        image.remove_snap('snap')

    assert look(window, image_id) == []


def test_a_copy_that_goes_between_name_and_header_is_not_shown(window, world):
    image_id, _ = world.copy()
    look(window)  # connects
    other = world.other_node()
    world.cluster.on('operate_read_op', after=lambda: other.delete(image_id))

    assert look(window, image_id) == []


def test_headers_of_active_copies_are_remembered_for_lists(
    window, world, monkeypatch
):
    ids = [world.copy()[0] for _ in range(3)]
    look(window, *ids)
    reads = counted(monkeypatch, directory, 'header')

    assert len(look(window, *ids)) == 3
    assert reads == []


def test_a_single_image_is_always_looked_at_anew(window, world, monkeypatch):
    image_id, rbd_id = world.copy()
    look(window, image_id)
    reads = counted(monkeypatch, directory, 'header')

    look(window, image_id)

    assert reads == [(rbd_id,)]


def test_pending_copies_are_looked_at_anew(window, world):
    (first, rbd_id), (second, _) = world.begin(), world.begin()
    look(window, first, second)
    world.pool.set_progress(first, rbd_id, 50)

    found = dict(window.look({first: 1, second: 1}, trash=False))

    assert found[first].progress == 50


def test_a_remembered_copy_that_is_gone_is_not_shown(window, world):
    first, second = world.copy()[0], world.copy()[0]
    look(window, first, second)

    world.pool.delete(first)

    assert look(window, first, second) == [(second, Status.ACTIVE)]


def test_a_copy_that_was_made_anew_is_the_new_one(window, world):
    first, second = world.copy()[0], world.copy()[0]
    look(window, first, second)
    world.pool.delete(first)
    _, rbd_id = world.begin(first)
    world.pool.resize(first, rbd_id, SIZE * 2)
    world.pool.commit(first, rbd_id, {})

    found = dict(window.look({first: 1, second: 1}, trash=False))

    assert found[first].size == SIZE * 2


def test_memory_is_bounded(window, world, monkeypatch):
    monkeypatch.setattr(copies, 'REMEMBERED', 2)
    ids = [world.copy()[0] for _ in range(5)]

    for _ in range(3):
        assert len(look(window, *ids)) == 5

    assert len(window._headers) <= 2


# Ceph away


@pytest.mark.parametrize(
    ('configured_timeout', 'expected'), [(-1, 5), (0, 0), (3, 3), (60, 5)]
)
def test_no_operation_takes_longer_than_seconds(
    world, chosen, configured_timeout, expected
):
    settings = dataclasses.replace(world.settings, timeout=configured_timeout)
    store = stores.Store('raw', stores.DRIVER, -1000, settings)

    assert copies.Window(store, chosen).settings.timeout == expected


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
    clock[0] += copies.PAUSE - 0.1
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
    clock[0] += copies.PAUSE + 0.1

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]


def test_a_client_that_was_fenced_is_replaced_after_the_pause(
    window, world, clock
):
    image_id, _ = world.copy()
    look(window, image_id)
    fenced = window._pool.client
    world.pool.client.blocklist_add(fenced.get_addrs())
    assert look(window, image_id) == []
    clock[0] += copies.PAUSE + 0.1

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]
    assert window._pool.client is not fenced


def test_one_connection_is_kept(window, world, monkeypatch):
    connects = counted(monkeypatch, ceph.rados.Rados, 'connect')

    for _ in range(5):
        look(window, str(uuid.uuid4()))

    assert len(connects) == 1


def test_a_client_that_was_fenced_is_replaced(
    window, world, clock, monkeypatch
):
    """The library never connects such a one again."""
    image_id, _ = world.copy()
    assert look(window, image_id) != []
    closed = counted(monkeypatch, ceph.rados.Rados, 'shutdown')
    world.cluster.blocklist.add(window._pool.client.address)
    assert look(window, image_id) == []
    assert closed == [], 'others may be using it'

    clock[0] += copies.PAUSE + 0.1

    assert look(window, image_id) == [(image_id, Status.ACTIVE)]
    assert len(closed) == 1


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
    clock[0] += copies.PAUSE + 0.1
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
    monkeypatch.setattr(copies, 'PATIENCE', 0.05)
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
    monkeypatch.setattr(copies, 'PATIENCE', 20)  # only before the first answer
    stuck = Stuck(monkeypatch)
    stuck.answer.set()
    assert look(window, 'a') == []
    clock[0] += copies.PAUSE + 0.1
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
    monkeypatch.setattr(copies, 'PATIENCE', 20)
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
    monkeypatch.setattr(copies, 'PATIENCE', 20)
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
