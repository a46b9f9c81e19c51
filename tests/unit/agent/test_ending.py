# SPDX-License-Identifier: Apache-2.0
"""A process ends while Glance's database is away; an agent puts it right."""

import threading

import pytest

from glance_rawstore import handover
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.converting import Conversions
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.tasks import insisting
from glance_rawstore.tasks import originals
from tests.unit.tasks.conftest import ID
from tests.waiting import DEADLINE
from tests.waiting import eventually

#: What asks the database.
ASKING = (
    *('image', 'known', 'all_images', 'copy_tasks', 'open_tasks'),
    *('create_task', 'begin_task', 'report', 'succeed_task', 'fail_task'),
    *('put_location', 'remove_location', 'locations'),
)


@pytest.fixture
def database(work):
    """Sends the database away; to be called again when it is back."""

    def away(*_args):
        raise OSError('The database is away.')

    patch = pytest.MonkeyPatch()

    def send():
        for name in ASKING:
            patch.setattr(work.catalog, name, away)
        return patch.undo

    yield send
    patch.undo()


@pytest.fixture
def ends(work, database, monkeypatch):
    """The process ends while it converts, with the database away by then.

    Whatever it has to undo asks the database, as with an original in RBD.
    """
    monkeypatch.setattr(insisting, '_ENDS_WITHIN', 0.05)
    monkeypatch.setattr(insisting, '_SHORT_PAUSE', 0.01)
    monkeypatch.setattr(
        originals, 'repair', lambda job, *_args: job.catalog.image(ID)
    )
    back = []

    def during(_calls):
        back.append(database())
        work.stop.set()

    work.converter.during = during
    thread = threading.Thread(target=work.run, daemon=True)
    thread.start()
    thread.join(DEADLINE)
    assert not thread.is_alive(), 'it goes on trying'
    back[0]()
    work.stop.clear()
    work.converter.during = lambda calls: None


def a_pass(node):
    wanted, failed = reconciling.reconcile(node)
    assert failed == 0
    conversions = Conversions(node)
    conversions.offer(wanted)
    conversions.join()
    conversions.stop()


def assert_all_is_well(work, node):
    """There is a copy, Glance knows of it, and no task is open."""
    assert work.world.pool.status(ID) is Status.ACTIVE
    assert work.world.names() == [f'{ID}_raw']
    assert work.world.trash() == []
    assert work.location()['status'] == 'active'
    assert work.catalog.open_tasks() == []
    assert handover.all_offered(work.world.pool.ioctx) == {}
    assert reconciling.reconcile(node) == ([], 0)


@pytest.mark.usefixtures('agent', 'ends')
def test_it_is_handed_over_and_the_next_pass_goes_on(work, node):
    (task_id,) = work.catalog.tasks
    assert handover.all_offered(work.world.pool.ioctx) == {ID: task_id}
    assert work.location()['status'] == 'pending'

    a_pass(node)

    assert list(work.catalog.tasks) == [task_id], 'it is that of before'
    assert work.catalog.tasks[task_id].status == 'success'
    assert_all_is_well(work, node)


@pytest.mark.usefixtures('ends')
def test_without_an_agent_the_first_one_that_starts_puts_it_right(work, node):
    """Ceph was there, so nothing is left in it; Glance was not told."""
    (left,) = work.catalog.tasks.values()
    assert work.world.names() == work.world.trash() == []
    assert left.status == 'processing'
    assert work.location()['status'] == 'pending'
    left.updated -= 3600  # nobody has heard of its worker since

    a_pass(node)

    assert_all_is_well(work, node)
    assert left.status in ('failure', 'success')


def test_who_waits_between_two_tries_wakes_when_its_process_ends(
    work, monkeypatch
):
    monkeypatch.setattr(insisting, '_ENDS_WITHIN', 0.05)
    monkeypatch.setattr(insisting, '_SHORT_PAUSE', 0.01)
    tries = []

    def away():
        tries.append(work.stop.is_set())
        raise OSError('The database is away.')

    thread = threading.Thread(
        target=insisting.insist, args=(work.job(), away), daemon=True
    )
    thread.start()
    eventually(lambda: len(tries) >= 2, 'it has waited once')
    work.stop.set()
    thread.join(DEADLINE)

    assert not thread.is_alive()
    assert tries[:2] == [False, False]
    assert tries[-1], 'it is tried once more, at least'
