# SPDX-License-Identifier: Apache-2.0
"""An agent is there for processes that end, in a pool in memory."""

import pytest

from glance_rawstore import handover
from glance_rawstore.agent import listening
from glance_rawstore.agent.listening import Listener
from tests.waiting import eventually


@pytest.fixture
def offers():
    return []


@pytest.fixture
def listener(world, offers, monkeypatch):
    monkeypatch.setattr(listening, 'INTERVAL', 0.01)
    monkeypatch.setattr(listening, '_AGAIN', 0.01)
    found = Listener(world.settings, lambda ids: offers.append(list(ids)))
    found.start()
    yield found
    found.stop()


def test_it_is_there_as_long_as_it_listens(world, listener):
    ioctx = world.pool.ioctx
    eventually(lambda: handover.attended(ioctx), 'it is there')

    listener.stop()

    assert handover.attended(ioctx) is False


@pytest.mark.usefixtures('listener')
def test_it_offers_what_is_handed_over_until_it_is_taken(world, offers):
    ioctx = world.pool.ioctx
    handover.offer(ioctx, 'one', 'task-1')
    eventually(lambda: offers.count(['one']) > 1, 'it is offered')

    handover.take(ioctx, 'one')

    eventually(lambda: offers[-1] == [], 'nothing is offered any more')


@pytest.mark.usefixtures('listener')
def test_it_comes_back_when_the_cluster_does(world, offers, caplog):
    eventually(lambda: offers, 'it listens')
    world.cluster.away = True
    eventually(lambda: 'handed over to us' in caplog.text, 'it says so')

    world.cluster.away = False
    offers.clear()

    eventually(lambda: offers, 'it listens again')
    assert handover.attended(world.pool.ioctx) is True


def test_an_error_of_ours_does_not_end_it(world, monkeypatch, caplog):
    monkeypatch.setattr(listening, 'INTERVAL', 0.01)
    monkeypatch.setattr(listening, '_AGAIN', 0.01)
    outcomes = [ZeroDivisionError]
    offers = []

    def offer(ids):
        if outcomes:
            raise outcomes.pop()
        offers.append(ids)

    listener = Listener(world.settings, offer)
    listener.start()
    eventually(lambda: offers, 'it listens again')
    listener.stop()

    assert 'ZeroDivisionError' in caplog.text
