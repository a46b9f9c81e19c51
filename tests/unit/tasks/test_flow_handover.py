# SPDX-License-Identifier: Apache-2.0
"""Conversions that are handed over, and those that go on with one."""

import dataclasses

import pytest

from glance_rawstore import attempts
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import resuming
from glance_rawstore import slots
from glance_rawstore import tickets
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import step
from tests.contract.world import DATA
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.unit.tasks.conftest import ID

HALF = SIZE // 2


@pytest.fixture
def work(work, monkeypatch):
    """An image of two slices."""
    work.catalog.change(ID, digest='d1635t')
    work.options = dataclasses.replace(work.options, slice_size=len(DATA))
    data = DATA.ljust(HALF, b'\0') + DATA
    work.converter.data = data
    monkeypatch.setattr(
        work.converter,
        'allocated',
        lambda source, offset, length: len(DATA),
    )
    monkeypatch.setattr(
        work.converter,
        'info',
        lambda source, size=None: type(
            'Info', (), {'virtual_size': SIZE, 'allocated': 2 * len(DATA)}
        ),
    )
    monkeypatch.setattr(resuming, '_MOMENT', 0.0)
    return work


def ends(work, number):
    """The process ends while it converts that slice."""

    def during(_calls):
        if len(work.converter.windows) > number:
            work.stop.set()

    work.converter.during = during


def goes_on(work, task_id=None):
    """Another worker goes on."""
    work.stop.clear()
    work.converter.during = lambda calls: None
    work.converter.windows.clear()
    job = work.job()
    job.task_id = task_id
    flow.run(job)


@pytest.mark.usefixtures('agent')
def test_a_process_that_ends_leaves_it_to_the_agent_that_is_there(work):
    ends(work, 1)

    task = work.run()

    (task_id,) = work.catalog.tasks
    assert task.status == 'processing'
    assert task.message == 'Waiting for another worker to go on.'
    assert work.location()['status'] == 'pending'
    ioctx = work.world.pool.ioctx
    assert handover.all_offered(ioctx) == {ID: task_id}
    assert attempts.read_all(ioctx) == {}, 'it does not count'
    rbd_id = work.world.part_id(ID)
    assert resuming.saved(work.world.pool, rbd_id).done == 1


@pytest.mark.usefixtures('agent')
def test_the_task_goes_on_and_what_is_done_is_not_done_again(work):
    ends(work, 1)
    task = work.run()
    (task_id,) = work.catalog.tasks

    goes_on(work, task_id)

    assert work.converter.windows == [(HALF, HALF)]
    assert list(work.catalog.tasks) == [task_id]
    assert task.status == 'success'
    assert task.result['resumed_at_percent'] == 50
    assert task.message.endswith(', resumed at 50%.')
    assert 'Converting to raw: 50% ' in ''.join(task.messages)
    assert handover.all_offered(work.world.pool.ioctx) == {}
    with work.world.pool.image(f'{ID}_raw', read_only=True) as image:
        assert image.read(0, len(DATA)) == DATA
        assert image.read(HALF, len(DATA)) == DATA
        assert image.read(MIB, 1) == b'\0'


def test_a_worker_that_has_done_a_slice_may_be_killed(work):
    """It does not count against the image: the next one gets further."""
    counted = []

    def during(_calls):
        counted.append(attempts.read(work.world.pool.ioctx, ID))

    work.converter.during = during

    work.run()

    assert counted[0].count == 1
    assert counted[1:] == [None]


class Away:
    """A database that is away for a while.

    :ivar asked: how often it was asked meanwhile
    """

    def __init__(self, work, times):
        self._work = work
        self._times = times
        self.asked = 0
        work.catalog.looked = self

    def __call__(self):
        self.asked += 1
        if self.asked > self._times:
            self._work.catalog.looked = lambda: None
            return
        raise OSError('The database is away.')


def test_it_converts_on_while_the_database_is_away(work):
    """Between two slices as well, where it asks whether to go on."""
    away = []
    work.converter.during = lambda _calls: away.append(Away(work, 2))

    assert work.run().status == 'success'
    assert len(work.converter.windows) == 2
    assert all(each.asked >= 2 for each in away)


def test_a_copy_is_kept_though_the_database_is_away_when_it_is_there(
    work, monkeypatch
):
    """Hours of work would be undone otherwise."""
    naps, put = [], work.catalog.put_location

    def away(image_id, url, metadata):
        if metadata['status'] == 'active' and len(naps) < 2:
            monkeypatch.setattr(work.stop, 'wait', naps.append)
            raise OSError('The database is away.')
        put(image_id, url, metadata)

    work.catalog.put_location = away

    assert work.run().status == 'success'
    assert work.location()['status'] == 'active'
    assert len(work.converter.windows) == 2, 'nothing was made twice'
    assert len(naps) == 2


def _ends_before_it_is_published(work):
    """The process ends while the database is away, and the copy is there."""
    put = work.catalog.put_location

    def away(image_id, url, metadata):
        if metadata['status'] == 'active':
            work.stop.set()
            raise OSError('The database is away.')
        put(image_id, url, metadata)

    work.catalog.put_location = away


def _ends_while_another_import_runs(work):
    put = work.catalog.put_location

    def busy(image_id, url, metadata):
        put(image_id, url, metadata)
        if metadata['status'] == 'active':
            found = work.catalog.images[ID]
            lock = {'os_glance_import_task': 'another'}
            work.catalog.change(ID, properties={**found.properties, **lock})
            work.stop.set()

    work.catalog.put_location = busy


@pytest.mark.usefixtures('agent')
@pytest.mark.parametrize(
    'end', [_ends_before_it_is_published, _ends_while_another_import_runs]
)
def test_a_process_that_ends_leaves_a_copy_that_is_there(work, end):
    """The agent has only its location to set."""
    end(work)

    work.run()

    assert work.world.names() == [f'{ID}_raw']
    ioctx = work.world.pool.ioctx
    assert list(handover.all_offered(ioctx).values()) == [*work.catalog.tasks]


def test_who_waits_for_a_slot_waits_while_the_database_is_away(
    work, monkeypatch
):
    monkeypatch.setattr(step, 'FIRST', 0.0)
    monkeypatch.setattr(step, 'ALIVE', 0.0)
    scratch = work.options.scratch_dir
    others, told = [slots.at_once(scratch, 1)], []

    def away(*_args):
        told.append(1)
        if len(told) > 2:
            for other in others:
                other.close()
            work.catalog.report = report
        raise OSError('The database is away.')

    report, work.catalog.report = work.catalog.report, away
    work.catalog.looked = Away(work, 5)

    assert work.run().status == 'success'
    assert len(told) == 3


def test_without_an_agent_all_is_undone(work):
    ends(work, 1)

    task = work.run()

    assert task.status == 'failure'
    assert 'interrupted' in task.message
    work.assert_nothing_is_left()


@pytest.mark.usefixtures('agent')
def test_without_an_answer_all_is_undone(work, monkeypatch):
    def fails(_ioctx):
        raise exceptions.CephUnavailable

    monkeypatch.setattr(handover, 'attended', fails)
    ends(work, 1)

    assert work.run().status == 'failure'

    work.assert_nothing_is_left()


@pytest.mark.usefixtures('agent')
def test_one_that_waits_for_a_slot_is_handed_over_too(work, monkeypatch):
    def stopped(self, task_id, project):
        work.stop.set()
        self.job.wait(0)

    with monkeypatch.context() as patch:
        patch.setattr(flow.preparing.TakeSlot, '_take', stopped)
        task = work.run()
    (task_id,) = work.catalog.tasks

    assert task.status == 'pending'
    assert handover.all_offered(work.world.pool.ioctx) == {ID: task_id}
    goes_on(work, task_id)
    assert task.status == 'success'


@pytest.mark.usefixtures('agent')
def test_a_deleted_copy_is_not_handed_over(work):
    work.converter.during = lambda _: work.world.other_node().delete(ID)

    assert work.run().status == 'failure'

    work.assert_nothing_is_left()
    assert handover.all_offered(work.world.pool.ioctx) == {}


@pytest.mark.usefixtures('agent')
def test_who_finds_another_at_it_leaves_the_task_to_that_one(work):
    ends(work, 1)
    task = work.run()
    (task_id,) = work.catalog.tasks

    def second(_calls):
        job = work.job()
        job.task_id = task_id
        job.slot = tickets.Slot(str(work.scratch), '', runs=True)
        work.converter.during = lambda calls: None
        flow.run(job)
        assert task.status == 'processing'

    work.stop.clear()
    work.converter.during = second
    job = work.job()
    job.task_id = task_id
    flow.run(job)

    assert task.status == 'success'
    assert work.world.names() == [f'{ID}_raw']


def test_who_loses_its_lease_leaves_all_to_the_other(work):
    """Its node was away, and another goes on with copy and task."""
    ids = []

    def during(calls):
        if len(work.converter.windows) < 2:
            return
        work.converter.during = lambda calls: None
        work.world.pass_time(work.options.lease_duration)
        (task_id,) = work.catalog.tasks
        ids.append(task_id)
        job = work.job()
        job.task_id = task_id
        job.slot = tickets.Slot(str(work.scratch), '', runs=True)
        flow.run(job)

    work.converter.during = during

    task = work.run()

    assert list(work.catalog.tasks) == ids
    assert task.status == 'success'
    assert task.result['resumed_at_percent'] == 50
    assert work.location()['status'] == 'active'
    assert work.world.names() == [f'{ID}_raw']
