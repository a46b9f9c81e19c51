# SPDX-License-Identifier: Apache-2.0
"""Notifications are sent in the background, or not at all."""

import os
import threading
import time

import glance.notifier
import pytest

from glance_rawstore.catalog import sender
from glance_rawstore.catalog.sender import Sender


class Bus:
    """Glance's notifier, over a bus that can hang or refuse.

    :ivar sent: of each notification, what was sent
    """

    def __init__(self):
        self.sent = []
        self.error_next = None
        self.go_on = threading.Event()
        self.go_on.set()

    def _take(self, priority, event_type, payload):
        self.go_on.wait(30)
        if self.error_next is not None:
            error, self.error_next = self.error_next, None
            raise error
        self.sent.append((priority, event_type, payload))

    def info(self, event_type, payload):
        self._take('info', event_type, payload)

    def error(self, event_type, payload):
        self._take('error', event_type, payload)


@pytest.fixture
def bus(monkeypatch):
    found = Bus()
    monkeypatch.setattr(glance.notifier, 'Notifier', lambda: found)
    yield found
    found.go_on.set()


def test_what_is_given_is_sent_in_that_order(bus):
    tested = Sender()

    tested.info('one', {'a': 1})
    tested.error('two', lambda: {'b': 2})
    tested.flush()

    assert bus.sent == [('info', 'one', {'a': 1}), ('error', 'two', {'b': 2})]


def test_a_bus_that_hangs_holds_nothing_up(bus, monkeypatch, caplog):
    monkeypatch.setattr(sender, 'WAITING', 3)
    tested = Sender()
    bus.go_on.clear()
    began = time.monotonic()

    for number in range(10):
        tested.info(f'event-{number}', {})
    tested.flush(0.1)

    assert time.monotonic() - began < 5
    assert 'was dropped' in caplog.text
    bus.go_on.set()
    tested.flush()
    assert 3 <= len(bus.sent) <= 4, 'one was with the bus, three waited'


def test_one_that_cannot_be_sent_keeps_no_other(bus, caplog):
    bus.error_next = RuntimeError('refused')
    tested = Sender()

    tested.info('one', {})
    tested.info('two', {})
    tested.flush()

    assert [event for _, event, _ in bus.sent] == ['two']
    assert 'The notification one was not sent: refused' in caplog.text


def test_a_process_that_was_forked_sends_its_own(bus):
    tested = Sender()
    tested.info('before', {})
    tested.flush()
    child = os.fork()
    if child == 0:
        tested.info('after', {})
        tested.flush()
        os._exit(len(bus.sent))

    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 2
