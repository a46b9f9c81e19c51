# SPDX-License-Identifier: Apache-2.0
"""A copy is gone on with where a worker has left it, in a pool in memory."""

import contextlib
import dataclasses

import pytest

from glance_rawstore import convert
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import making
from glance_rawstore import resuming
from glance_rawstore.lifecycle import raw_copy
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.fakes import rados
from tests.fakes import rbd
from tests.unit.test_making import ID
from tests.unit.test_making import OPTIONS
from tests.unit.test_making_filling import VERDICT
from tests.unit.test_making_filling import Source

SOURCE = 'qcow2/5000/d1635t'
#: Four slices with one of these each, and the rest empty.
DATA = b'a quarter of it ' * 1000
QUARTER = 16 * MIB


class Killed(BaseException):
    """The worker is gone: nothing of it is undone."""


class QemuImg:
    """Stands in for qemu-img.

    :ivar windows: offset and length of all that was converted
    :ivar before: called with the number of a conversion, before it ends
    """

    def __init__(self, world):
        self._world = world
        self.windows = []
        self.before = lambda number: None

    def __call__(self, limits):
        return self

    def info(self, source, size=None):
        return convert.Info(SIZE, 4 * len(DATA))

    def allocated(self, source, offset, length):
        return length // QUARTER * len(DATA)

    def convert(self, source, target, requests, calls, window=None):
        offset, length = window or (0, SIZE)
        self.windows.append((offset, length))
        for at in range(offset, offset + length, QUARTER):
            self._world.write(ID, DATA, at)
            calls.progress((at - offset) / length)
        self.before(len(self.windows) - 1)


class Worker:
    """Who makes the copy, and may be killed."""

    def __init__(self, world, pool, stack):
        self._world = world
        self._pool = pool
        self._stack = stack

    def reserve(self, source=SOURCE, **options):
        chosen = dataclasses.replace(
            OPTIONS, slice_size=len(DATA), object_size=8 * MIB, **options
        )
        self.part = making.reserve(self._pool, ID, chosen, source)
        self._stack.callback(self.part.release)
        return self.part

    def dies(self):
        """It renews its lease no more, which runs out."""
        self.part._lease._stop.set()
        self._world.pass_time(OPTIONS.lease_duration)

    def make(self, source=SOURCE, **calls):
        part = self.reserve(source)
        part.measure(Source(), VERDICT)
        part.fill(Source(), VERDICT, **calls)
        return part


@pytest.fixture
def qemu_img(world, monkeypatch):
    found = QemuImg(world)
    monkeypatch.setattr(convert, 'QemuImg', found)
    monkeypatch.setattr(resuming, '_MOMENT', 0.0)
    return found


@pytest.fixture
def worker(world, qemu_img):
    with contextlib.ExitStack() as stack:
        yield lambda: Worker(world, world.other_node(), stack)


@pytest.fixture
def killed(world, qemu_img, worker, monkeypatch):
    """A worker that is killed while it converts the slice of that number."""

    def kill(number, source=SOURCE):
        def die(current):
            if current == number:
                raise Killed

        qemu_img.before = die
        first = worker()
        with pytest.raises(Killed):
            first.make(source)
        qemu_img.before = lambda current: None
        first.dies()
        qemu_img.windows.clear()

    return kill


def windows(*numbers):
    return [(number * QUARTER, QUARTER) for number in numbers]


def content(world):
    with world.pool.image(f'{ID}_raw.part', read_only=True) as image:
        return image.read(0, SIZE)


WHOLE = b''.join(DATA.ljust(QUARTER, b'\0') for _ in range(4))


def test_it_is_converted_slice_by_slice(world, qemu_img, worker):
    told = []

    worker().make(progress=told.append)

    assert qemu_img.windows == windows(0, 1, 2, 3)
    assert content(world) == WHOLE
    assert told == sorted(told)
    assert told[-1] == pytest.approx(0.75)


@pytest.mark.parametrize('number', range(4))
def test_what_is_done_is_not_converted_again(
    world, qemu_img, worker, killed, number
):
    killed(number)
    before = world.part_id(ID)
    told = []

    part = worker().make(progress=told.append)

    assert qemu_img.windows == windows(*range(number, 4))
    assert content(world) == WHOLE
    assert world.part_id(ID) == before
    assert part.resumed_at == told[0] == number / 4
    part.commit({})
    assert world.names() == [f'{ID}_raw']
    rbd_id = world.pool.rbd_id(f'{ID}_raw')
    assert directory.meta(world.pool.ioctx, rbd_id, raw_copy.META_SLICES) is (
        None
    )


def test_who_dies_again_and_again_comes_to_an_end(
    world, qemu_img, worker, killed
):
    for number in range(4):
        killed(0 if number == 0 else 1)
    # the first of each converted what the one before was killed in

    part = worker().make()

    assert qemu_img.windows == windows(3)
    assert content(world) == WHOLE
    part.commit({})


def test_a_slice_that_was_being_written_is_emptied_first(
    world, qemu_img, worker, killed
):
    killed(2)
    world.write(ID, b'left by a writer', 2 * QUARTER + MIB)

    worker().make()

    assert content(world) == WHOLE


def test_it_is_begun_anew_from_another_source(world, qemu_img, worker, killed):
    killed(2)
    before = world.part_id(ID)

    worker().make('qcow2/5000/07her')

    assert qemu_img.windows == windows(0, 1, 2, 3)
    assert world.part_id(ID) != before
    assert world.trash() == []


@pytest.mark.parametrize('source', ['', SOURCE])
def test_without_a_hash_nobody_goes_on(
    world, qemu_img, worker, killed, source
):
    killed(0, '')

    part = worker().make(source)

    assert part.resumed_at == 0.0
    assert qemu_img.windows in ([(0, SIZE)], windows(0, 1, 2, 3))


def torn_metadata(world, rbd_id):
    world.pool.note(ID, rbd_id, raw_copy.META_SLICES, '{"source": "qcow2/50')


def other_size(world, rbd_id):
    world.pool.resize(ID, rbd_id, SIZE // 2)


def snapshot_too_early(world, rbd_id):
    with world.pool.image(f'{ID}_raw.part') as image:
        image.create_snap('snap')


@pytest.mark.parametrize(
    'tear', [torn_metadata, other_size, snapshot_too_early]
)
def test_what_is_torn_is_begun_anew(world, qemu_img, worker, killed, tear):
    killed(2)
    before = world.part_id(ID)
    tear(world, before)

    worker().make()

    assert qemu_img.windows == windows(0, 1, 2, 3)
    assert world.part_id(ID) != before
    assert content(world) == WHOLE


def test_who_is_stopped_between_slices_has_done_the_first(
    world, qemu_img, worker
):
    with pytest.raises(exceptions.Interrupted):
        worker().make(stop=exceptions.Interrupted)

    assert qemu_img.windows == windows(0)
    assert resuming.saved(world.pool, world.part_id(ID)).done == 1


def test_all_may_be_done_but_the_commit(world, qemu_img, worker, killed):
    worker().make().release()
    qemu_img.windows.clear()

    part = worker().make()

    assert part.resumed_at == 1.0
    assert qemu_img.windows == []
    part.commit({})
    assert world.names() == [f'{ID}_raw']


def test_a_living_worker_is_left_alone(world, qemu_img, worker):
    worker().make()

    with pytest.raises(exceptions.LeaseHeld):
        worker().make()


class TestTheFormerWorker:
    """One whose lease ran out, and that is alive after all."""

    @pytest.fixture
    def both(self, world, worker):
        """The parts of the former worker and of the one that took over."""
        former, now = worker(), worker()
        former.make()
        former.dies()
        return former.part, now.make()

    def test_it_is_told(self, world, both):
        former, now = both

        assert type(former._lost()) is exceptions.LeaseLost
        assert now._lost() is None

    def test_it_does_not_commit(self, world, both):
        with pytest.raises(exceptions.LeaseLost):
            both[0].commit({})

        assert world.names() == [f'{ID}_raw.part']

    def test_it_takes_nothing_away(self, world, both):
        both[0].discard()

        assert both[1]._lost() is None

    def test_not_even_when_the_lease_is_free_again(self, world, both):
        """Its successor hands over, or has committed."""
        former, now = both
        now.release()
        former.discard()
        assert world.names() == [f'{ID}_raw.part']

        now.commit({})
        now.release()
        former.discard()

        assert world.names() == [f'{ID}_raw']

    def test_its_qemu_img_is_shut_out(self, world, qemu_img, worker, killed):
        killed(1)
        client = rados.Rados(world.cluster.conf_file, 'glance')
        writer = rbd.Image(client.open_ioctx('images_raw'), f'{ID}_raw.part')

        worker().make()

        with pytest.raises(rbd.ConnectionShutdown):
            writer.write(b'late', 0)
