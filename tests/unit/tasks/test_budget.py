# SPDX-License-Identifier: Apache-2.0
"""Conversions where the raw store has a budget."""

import dataclasses
import time

import pytest

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import evicted
from glance_rawstore import tally
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Retry
from glance_rawstore.lifecycle.budget import Entry
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import DATA
from tests.unit.tasks.conftest import ID

OTHER = 'f1b6a3de-0c52-4a3e-9b6f-2d6f0f6f7a11'


@pytest.fixture
def limit(work):
    def limit(size, policy='oldest'):
        work.options = dataclasses.replace(
            work.options, budget=Limits(bytes=size), eviction_policy=policy
        )

    return limit


def taken(work):
    found = budget.read(work.world.pool, work.options.budget)
    return found.used, found.reserved


def test_what_it_needs_is_reserved_until_it_is_known_what_it_uses(work, limit):
    limit(10 * len(DATA))
    during = []
    work.converter.during = lambda _calls: during.append(taken(work))

    task = work.run()

    assert task.status == 'success'
    assert during == [(0, len(DATA))]
    assert taken(work) == (len(DATA), 0)
    assert list(budget._known(work.world.pool.ioctx).values()) == [
        Entry(ID, len(DATA), reserved=False)
    ]


def test_what_fails_gives_back_what_was_reserved(work, limit):
    limit(10 * len(DATA))

    def broken(_calls):
        raise RuntimeError('no')

    work.converter.during = broken

    assert work.run().status == 'failure'
    assert budget._known(work.world.pool.ioctx) == {}


def test_what_does_not_fit_is_refused_and_tried_again_later(work, limit):
    limit(len(DATA) - 1)

    task = work.run()

    assert task.status == 'failure'
    assert 'The raw copy needs 20.5 KiB (64.0 MiB at most)' in task.message
    assert 'raw_cache_budget' in task.message
    work.assert_nothing_is_left()
    known = attempts.read(work.world.pool.ioctx, ID)
    assert (known.count, known.refused) == (1, False)
    due = Retry(60, 5).after(known, known.version)
    assert due - time.time() == pytest.approx(60, abs=10), 'no storm'
    found = tally.read(work.world.pool.ioctx)
    assert found.failures['over_budget'] == 1


@pytest.mark.parametrize('policy', ['oldest', 'never'])
def test_another_copy_makes_room_if_the_policy_says_so(work, limit, policy):
    limit(2 * len(DATA) - 1, policy)
    work.catalog.add(OTHER, b'')
    work.world.copy(OTHER)
    url = work.world.pool.url(OTHER)
    work.catalog.put_location(
        OTHER, url, raw_copy.location_metadata('raw', Status.ACTIVE, 1)
    )

    task = work.run()

    pool = work.world.pool
    if policy == 'never':
        assert task.status == 'failure'
        assert pool.status(OTHER) is Status.ACTIVE
        assert pool.status(ID) is Status.DELETED
        return
    assert task.status == 'success'
    assert pool.status(ID) is Status.ACTIVE
    assert pool.status(OTHER) is Status.DELETED
    assert work.catalog.locations(OTHER, url) == []
    assert evicted.read(pool.ioctx, OTHER).policy == 'oldest'
    assert taken(work) == (len(DATA), 0)


def test_who_waits_for_the_budget_says_so(work, limit, monkeypatch):
    from glance_rawstore.tasks import step

    monkeypatch.setattr(step, 'ALIVE', 0.0)
    monkeypatch.setattr(budget, '_RETRY', 0.01)
    limit(10 * len(DATA))
    other = budget.locked(work.world.other_node().ioctx, time.sleep)
    other.__enter__()
    report = work.catalog.report

    def noticed(task_id, message):
        report(task_id, message)
        if 'Waiting for others to reserve space' in message:
            other.__exit__(None, None, None)

    monkeypatch.setattr(work.catalog, 'report', noticed)

    assert work.run().status == 'success'


def test_who_waits_for_the_budget_ends_with_its_process(
    work, limit, monkeypatch
):
    monkeypatch.setattr(budget, '_RETRY', 0.01)
    limit(10 * len(DATA))
    info = work.converter.info

    def last(source, size):
        work.stop.set()
        return info(source, size)

    work.converter.info = last
    with budget.locked(work.world.other_node().ioctx, time.sleep):
        task = work.run()

    assert task.status == 'failure'
    assert 'interrupted' in task.message
    work.assert_nothing_is_left()
