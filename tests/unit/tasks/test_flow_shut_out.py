# SPDX-License-Identifier: Apache-2.0
"""Conversions whose connection to Ceph is blocklisted."""

import pytest

from glance_rawstore import attempts
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import rbd_pool
from glance_rawstore import tally
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import insisting
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.test_flow_undone import made_by_another

PART, COPY = f'{ID}_raw.part', f'{ID}_raw'


@pytest.fixture
def _impatient(monkeypatch):
    """Nothing is waited for that will not come."""

    def sleep(seconds):
        raise AssertionError(f'sleeps for {seconds} s')

    monkeypatch.setattr('time.sleep', sleep)


def shut_out(work, job):
    work.world.cluster.blocklist.add(job.pool.client.address)


def begun(work, happens):
    """The task of a conversion to which something happens."""
    job = work.job()
    work.converter.during = lambda calls: happens(job, calls)
    flow.run(job)
    (task,) = work.catalog.tasks.values()
    return task


def left_to_others(work, task):
    """The task has failed, and the ``.part`` stays; what is known of it."""
    assert task.status == 'failure'
    assert task.message == exceptions.Blocklisted.sentence
    assert work.world.names() == [PART]
    assert work.location() is None
    (known,) = attempts.read_all(work.world.pool.ioctx).values()
    return known


@pytest.mark.usefixtures('_impatient')
def test_it_ends_at_once_and_its_part_is_left_to_others(work, caplog):
    def during(job, calls):
        shut_out(work, job)
        assert type(calls.stop()) is exceptions.Blocklisted

    task = begun(work, during)

    known = left_to_others(work, task)
    assert (known.error, known.refused) == (task.message, False)
    assert 'ceph osd blocklist ls' in caplog.text


def test_another_goes_on_once_its_lease_has_run_out(work):
    begun(work, lambda job, _calls: shut_out(work, job))
    work.converter.during = lambda _: None
    work.world.pass_time(work.options.lease_duration + 1)

    flow.run(work.job())

    assert work.world.names() == [COPY]
    assert work.location()['status'] == 'active'
    assert attempts.read_all(work.world.pool.ioctx) == {}


def test_nobody_goes_on_before(work):
    """It may be writing still."""
    begun(work, lambda job, _calls: shut_out(work, job))
    work.converter.during = lambda _: None

    flow.run(work.job())

    assert work.world.names() == [PART]
    assert work.location() is None


@pytest.mark.parametrize('seen', ['it asks', 'it fails'])
def test_who_was_fenced_touches_nothing_of_its_successors(work, seen):
    """It connects anew only to see whose the copy is."""

    def during(job, calls):
        made_by_another(work)
        shut_out(work, job)
        if seen == 'it fails':
            raise exceptions.ConversionFailed('qemu-img was fenced.')

    task = begun(work, during)

    assert task.status == 'success'
    assert work.world.names() == [COPY]
    assert work.location()['status'] == 'active'
    assert attempts.read_all(work.world.pool.ioctx) == {}


def test_who_is_fenced_while_it_commits_leaves_the_task_to_its_successor(work):
    job = work.job()

    def fenced():
        made_by_another(work)
        shut_out(work, job)
        job.pool.rbd_id(PART)  # as librbd would see at its next step

    work.world.cluster.on('update_features', before=fenced)
    flow.run(job)

    (task,) = work.catalog.tasks.values()
    assert task.status == 'success'
    assert work.world.names() == [COPY]
    assert work.location()['status'] == 'active'


def test_who_is_shut_out_as_its_lease_is_confirmed_ends_its_task(
    work, monkeypatch
):
    """Nobody has taken over, so nobody else would end it."""
    confirm = lease.Lock.confirm

    def during(job, _calls):
        def shut_out_first(lock):
            shut_out(work, job)
            return confirm(lock)

        monkeypatch.setattr(lease.Lease, 'confirm', shut_out_first)

    task = begun(work, during)

    known = left_to_others(work, task)
    assert known.error == task.message


@pytest.fixture
def looks(work, monkeypatch):
    """Whether Ceph was there, each time that it was asked if we are out."""
    found = []
    asked = rbd_pool.RbdPool.shut_out

    def look(pool):
        found.append(not work.world.cluster.away)
        return asked(pool)

    monkeypatch.setattr(rbd_pool.RbdPool, 'shut_out', look)
    return found


def test_who_ends_while_ceph_is_away_is_told_so_once(work, looks, monkeypatch):
    """Each question may take as long as the timeouts of Ceph."""
    monkeypatch.setattr(insisting, '_ENDS_WITHIN', 0.05)
    monkeypatch.setattr(insisting, '_SHORT_PAUSE', 0.01)

    def during(_calls):
        work.world.cluster.away = True
        work.stop.set()

    work.converter.during = during
    work.run()

    assert looks == [False]


def test_who_goes_on_asks_again_once_ceph_has_been_away(work):
    """So that its undo is told, though it was shut out meanwhile."""
    job = work.job()
    pool = job.raw_pool
    work.world.cluster.away = True
    job.renew()
    work.world.cluster.away = False
    shut_out(work, job)

    job.renew()

    assert job.raw_pool is not pool


def test_who_is_shut_out_once_its_copy_is_made_tells_so_all_the_same(
    work, monkeypatch
):
    job = work.job()
    put = work.catalog.put_location

    def shut_out_first(image_id, url, metadata):
        if metadata['status'] == 'active':
            shut_out(work, job)
        put(image_id, url, metadata)

    monkeypatch.setattr(work.catalog, 'put_location', shut_out_first)

    flow.run(job)

    (task,) = work.catalog.tasks.values()
    assert task.status == 'success'
    assert tally.read(work.world.pool.ioctx).results['succeeded'] == 1
    assert attempts.read_all(work.world.pool.ioctx) == {}
