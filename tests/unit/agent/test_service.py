# SPDX-License-Identifier: Apache-2.0
"""The loops: they wake, call what decides, and sleep."""

import dataclasses
import logging
import threading

import pytest

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore.agent import reconciling
from glance_rawstore.agent import service
from glance_rawstore.agent.node import Node
from glance_rawstore.agent.passes import Passes
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID
from tests.waiting import DEADLINE
from tests.waiting import eventually


@pytest.fixture
def run():
    """Run a service in a thread, until the test has ended."""
    running = []

    def start(found):
        thread = threading.Thread(target=found.run)
        running.append((found, thread))
        thread.start()
        return found

    yield start
    for found, thread in running:
        found.terminate()
        thread.join(DEADLINE)
        assert not thread.is_alive()


def test_passes_are_some_time_apart_but_never_the_same():
    found = {service.jitter(60) for _ in range(100)}

    assert len(found) > 50
    assert min(found) >= 48
    assert max(found) <= 72


def test_what_loses_its_last_clone_is_reaped_by_itself(world, run):
    image_id, _ = world.copy()
    with volumes(world, 2) as consumer:
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)
        store = type('Store', (), {'rbd': world.settings})
        run(service.Reaper(0, Passes(), store, 0.01))

        consumer.remove('child')

        eventually(lambda: world.trash() == [], 'it is reaped')


def test_wishes_are_seen_by_and_by(work, node, run, monkeypatch):
    monkeypatch.setattr(Node, 'start', lambda files, store: node)
    work.catalog.change(ID, properties={})
    run(service.Reconciler(0, Passes(), [], 'raw', 0.01))

    work.catalog.change(ID, properties={'raw_cache': 'true'})

    eventually(
        lambda: work.world.pool.status(ID) is Status.ACTIVE, 'it is made'
    )
    work.catalog.change(ID, properties={})
    eventually(lambda: work.world.names() == [], 'it is deleted')


@pytest.mark.parametrize(
    'error',
    [exceptions.CephUnavailable('It did not answer.'), RuntimeError('oops')],
)
def test_an_error_ends_a_pass_and_not_the_agent(
    work, node, run, monkeypatch, caplog, error
):
    """The database away, say."""
    outcomes = [error, error]

    def start(files, store):
        if outcomes:
            raise outcomes.pop()
        return node

    monkeypatch.setattr(service, '_AGAIN', 0.01)
    monkeypatch.setattr(Node, 'start', start)
    with caplog.at_level(logging.WARNING):
        run(service.Reconciler(0, Passes(), [], 'raw', 60))
        eventually(
            lambda: work.world.pool.status(ID) is Status.ACTIVE, 'it is made'
        )

    assert str(error) in caplog.text
    assert 'rying again' in caplog.text


def test_who_is_told_to_end_hands_over_what_it_converts(
    work, node, run, monkeypatch
):
    """And does so at once, though its next pass is far away.

    The next one takes it at once, though its own pass has shown nothing.
    """
    monkeypatch.setattr(Node, 'start', lambda files, store: node)
    converting, go_on = threading.Event(), threading.Event()

    def during(_calls):
        converting.set()
        go_on.wait(DEADLINE)

    work.converter.during = during
    found = run(service.Reconciler(0, Passes(), [], 'raw', 600))
    assert converting.wait(DEADLINE)
    ending = threading.Thread(target=found.terminate)
    ending.start()
    eventually(found._stop.is_set, 'it was told')
    eventually(lambda: found._conversions._stop.is_set(), 'they were told')
    go_on.set()
    ending.join(DEADLINE)

    ioctx = work.world.pool.ioctx
    assert work.world.names() == [f'{ID}_raw.part']
    assert work.location()['status'] == 'pending'
    (task_id,) = work.catalog.tasks
    assert handover.all_offered(ioctx) == {ID: task_id}
    assert handover.attended(ioctx) is False
    work.converter.during = lambda calls: None
    monkeypatch.setattr(
        reconciling, 'reconcile', lambda node, seen: ([], 0), raising=True
    )

    run(service.Reconciler(0, Passes(), [], 'raw', 600))

    eventually(
        lambda: work.catalog.tasks[task_id].status == 'success', 'it is made'
    )
    assert list(work.catalog.tasks) == [task_id]
    assert work.world.names() == [f'{ID}_raw']
    assert handover.all_offered(ioctx) == {}


def test_passes_are_noted_and_those_that_failed(world, run):
    figures = Passes()
    store = type('Store', (), {'rbd': world.settings})
    with world.away():
        run(service.Reaper(0, figures, store, 0.01))
        eventually(lambda: figures.read()['reap'].failures > 0, 'it failed')
        assert figures.read()['reap'].last_success == 0

    eventually(lambda: figures.read()['reap'].last_success > 0, 'it is back')


def test_what_waits_for_a_worker_is_counted(work, node):
    work.catalog.change(ID, properties={'raw_cache': 'true'})
    queue = reconciling.Queue()

    reconciling.reconcile(node, seen=queue.see)

    assert queue.length == 1
    work.run()
    queue = reconciling.Queue()
    reconciling.reconcile(node, seen=queue.see)
    assert queue.length == 0


def test_an_agent_of_another_raw_store_is_seen_as_well(
    work, node, run, monkeypatch
):
    """Though copies are made in the first one alone."""
    policy = dataclasses.replace(node.policy, makes=False)
    other = dataclasses.replace(node, policy=policy)
    monkeypatch.setattr(Node, 'start', lambda files, store: other)

    run(service.Reconciler(0, Passes(), [], 'raw', 600))

    eventually(
        lambda: handover.agents(work.world.pool.ioctx) == 1, 'it is there'
    )
