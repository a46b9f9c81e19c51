# SPDX-License-Identifier: Apache-2.0
"""An agent helps with the copy that another worker makes, in memory."""

import dataclasses
import threading

import pytest

from glance_rawstore import ceph
from glance_rawstore import cluster_slots
from glance_rawstore import crew
from glance_rawstore import exceptions
from glance_rawstore import record
from glance_rawstore import slots
from glance_rawstore import stores
from glance_rawstore.agent import helping as agent_helping
from glance_rawstore.agent.helping import Helpers
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import LEFT
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.tasks import helping
from tests.contract.world import SIZE
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL
from tests.waiting import DEADLINE
from tests.waiting import eventually

QUARTER = SIZE // 4
OWNER = 'the-owner'
CUT = tuple(Slice(n * QUARTER, QUARTER, 5) for n in range(4))
TAKEN = (OWNER, FREE, FREE, FREE)


@pytest.fixture
def work(work):
    """An image that lies in RBD, and has a hash."""
    world = work.world
    world.cluster.create_pool('images')
    settings = dataclasses.replace(world.settings, pool='images')
    work.stores['ceph'] = stores.Store('ceph', 'rbd', 0, settings)
    with ceph.connect(settings) as (_, ioctx):
        ceph.rbd.RBD().create(ioctx, ID, len(ORIGINAL), 22)
        with ceph.rbd.Image(ioctx, ID) as image:
            image.write(ORIGINAL, 0)
            image.create_snap('snap')
            image.protect_snap('snap')
    row = work.catalog.row(f'rbd://fsid/images/{ID}/snap', 'ceph')
    work.catalog.change(ID, digest='d1635t', locations=(row,))
    work.options = dataclasses.replace(work.options, staged='never')
    return work


class Made:
    """A ``.part`` that another worker makes."""

    def __init__(self, work):
        self._work = work
        self.pool = work.world.pool
        _, self.rbd_id = work.world.begin(ID)
        self.content = work.catalog.image(ID).content
        self.claim(OWNER)
        self.keep()

    def claim(self, name):
        self.pool.note(ID, self.rbd_id, raw_copy.META_WORKER, name)

    def keep(self, states=TAKEN, **changes):
        kept = Slices(self.content, CUT, states, OWNER, 1)
        kept = dataclasses.replace(kept, **changes)
        self._work.world.keep(ID, self.rbd_id, kept)
        self.tell()

    def tell(self):
        crew._ENTRIES.write(self.pool.ioctx, ID, self.rbd_id)

    @property
    def states(self):
        return self.record().todo.states

    def record(self):
        found = record.Record(self.pool, self.rbd_id, OWNER, self.content)
        found.look()
        return found


@pytest.fixture
def made(work):
    return Made(work)


@pytest.fixture
def run(work, node, made):
    """Help once, as the agent does; how many slices were written."""

    def run(wanted=lambda: False, **options):
        chosen = dataclasses.replace(node.options, **options)
        job = dataclasses.replace(node, options=chosen).job(ID, work.stop)
        with job.resources:
            return helping.run(job, made.rbd_id, wanted)

    return run


def test_it_writes_what_nobody_has_taken(work, made, run):
    assert run() == 3

    assert work.converter.windows == [
        (each.offset, each.length) for each in CUT[1:]
    ]
    assert made.states == (OWNER, DONE, DONE, DONE)
    assert work.catalog.tasks == {}


def test_what_is_left_half_done_is_the_owners(work, made, run):
    made.keep((OWNER, LEFT, FREE, DONE))

    assert run() == 1

    assert work.converter.windows == [(2 * QUARTER, QUARTER)]
    assert made.states == (OWNER, LEFT, DONE, DONE)


@pytest.mark.parametrize(
    'change',
    [
        {'source': 'qcow2/1/0ther'},
        {'owner': 'former'},
        {'states': (DONE,) * 4},
    ],
)
def test_it_keeps_off_what_is_not_for_it(work, made, run, change):
    made.keep(**change)

    assert run() == 0

    assert work.converter.windows == []


def test_it_keeps_off_while_another_takes_over(work, made, run):
    made.claim('successor')

    assert run() == 0


@pytest.mark.parametrize('change', [{'status': 'queued'}, {'digest': 'other'}])
def test_only_the_original_that_is_stored_is_read(work, made, run, change):
    work.catalog.change(ID, **change)

    assert run() == 0

    assert work.converter.windows == []


def test_an_original_that_is_not_in_rbd_is_not_spooled(work, made, run):
    work.catalog.change(ID, locations=())

    with pytest.raises(exceptions.NothingToDo):
        run()

    assert work.converter.windows == []
    assert made.states == TAKEN


def test_it_looks_at_the_original_itself(work, made, run):
    settings = work.stores['ceph'].settings
    with (
        ceph.connect(settings) as (_, ioctx),
        ceph.rbd.Image(ioctx, ID) as image,
    ):
        image.unprotect_snap('snap')
        image.remove_snap('snap')
        image.write(b'#!/bin/sh'.ljust(512, b'\0'), 0)
        image.create_snap('snap')
        image.protect_snap('snap')

    with pytest.raises(exceptions.UnsafeImage):
        run()

    assert work.converter.windows == []
    assert made.states == TAKEN


def test_no_more_work_together_than_may(work, made, run):
    made.keep((OWNER, 'another', FREE, FREE))

    assert run(workers=2) == 0
    assert run(workers=3) == 2


def test_an_entry_that_is_out_of_date_is_removed(work, made, run):
    made.keep((OWNER, DONE, DONE, DONE))

    assert run() == 0

    assert crew.offered(made.pool.ioctx) == {}


def test_what_it_cannot_write_it_leaves_to_the_owner(work, made, run):
    def during(_calls):
        raise exceptions.ConversionFailed('Its data may be damaged.')

    work.converter.during = during

    with pytest.raises(exceptions.ConversionFailed):
        run()

    assert made.states == (OWNER, LEFT, FREE, FREE)


@pytest.mark.parametrize('why', ['stop', 'slot', 'cluster', 'image', 'owner'])
def test_it_leaves_when_it_is_told_to(work, made, run, why):
    wanted = threading.Event()

    def during(_calls):
        if why == 'stop':
            work.stop.set()
        elif why == 'slot':
            wanted.set()
        elif why == 'cluster':
            there = cluster_slots.Slots(made.pool.ioctx, 9, 30)
            there._held(cluster_slots._WAITING, there._ticket('other'))
        elif why == 'image':
            work.catalog.delete(ID)
        elif why == 'owner':
            made.claim('successor')

    work.converter.during = during

    with pytest.raises((exceptions.Cancelled, exceptions.LeaseLost)):
        run(wanted.is_set, max_cluster=9)

    if why != 'owner':
        assert made.states == (OWNER, LEFT, FREE, FREE)


def test_what_was_taken_back_is_not_believed_to_be_done(work, made, run):
    """It hung; the owner has taken the slice back, and empties it."""
    kept = []

    def during(calls):
        calls.stop()
        if not kept:
            others = made.record()
            others.change(
                lambda found: found.take_back(found.workers() - {OWNER})
            )
            kept.append(others.todo.states)

    work.converter.during = during

    with pytest.raises(exceptions.LeaseLost):
        run()

    assert kept == [(OWNER, LEFT, FREE, FREE)]
    assert made.states == kept[0]


class TestHelpers:
    """The agent's threads."""

    @pytest.fixture
    def offer(self, node, made, monkeypatch):
        monkeypatch.setattr(agent_helping, '_AGAIN', 0.0)
        helpers = Helpers(node)
        yield lambda: helpers.offer(crew.offered(made.pool.ioctx))
        helpers.stop()
        helpers.join(DEADLINE)

    def test_they_help(self, made, offer):
        offer()

        eventually(lambda: FREE not in made.states, 'they have helped')

    def test_not_without_a_slot_to_spare(self, work, node, made, offer):
        scratch, count = node.options.scratch_dir, node.options.max_conversions
        with slots.slot(scratch, count, lambda seconds: None):
            offer()

        assert made.states == TAKEN

    def test_one_at_a_copy(self, work, made, offer):
        helped = threading.Event()
        work.converter.during = lambda calls: helped.wait(10)
        offer()
        eventually(lambda: len(work.converter.windows) == 1, 'one helps')

        offer()
        helped.set()

        eventually(lambda: FREE not in made.states, 'they have helped')
        assert len(work.converter.windows) == 3

    def test_a_slot_is_given_back_where_no_thread_can_be_started(
        self, node, made, monkeypatch
    ):
        scratch, count = node.options.scratch_dir, node.options.max_conversions
        helpers = Helpers(node)

        def refused(_self):
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as limited:
            limited.setattr(threading.Thread, 'start', refused)
            with pytest.raises(RuntimeError):
                helpers.offer(crew.offered(made.pool.ioctx))
        helpers.join(DEADLINE)

        taken = [slots.at_once(scratch, count) for _ in range(count)]
        assert all(taken)
        for slot in taken:
            slot.close()

    def test_an_agent_is_there_though_its_slots_cannot_be_counted(
        self, node, made, tmp_path, caplog
    ):
        """Or nobody would hand anything over to it."""
        (tmp_path / 'file').touch()
        options = dataclasses.replace(
            node.options, scratch_dir=str(tmp_path / 'file' / 'scratch')
        )
        helpers = Helpers(dataclasses.replace(node, options=options))

        helpers.offer(crew.offered(made.pool.ioctx))

        assert 'cannot help' in caplog.text
        assert made.states == TAKEN

    def test_the_last_slot_is_kept_for_imports(self, node, made):
        for staged, left in (('always', TAKEN), ('never', None)):
            options = dataclasses.replace(
                node.options, staged=staged, max_conversions=1
            )
            helpers = Helpers(dataclasses.replace(node, options=options))

            helpers.offer(crew.offered(made.pool.ioctx))
            helpers.join(DEADLINE)

            assert left is None or made.states == left
        assert FREE not in made.states

    def test_what_went_wrong_is_left_alone_for_a_while(
        self, work, made, offer, caplog
    ):
        def during(_calls):
            raise exceptions.ConversionFailed('Its data may be damaged.')

        work.converter.during = during
        offer()
        eventually(lambda: 'cannot help' in caplog.text, 'it is told')

        offer()

        assert len(work.converter.windows) == 1
