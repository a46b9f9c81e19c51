# SPDX-License-Identifier: Apache-2.0
"""Trying again, and when not to."""

import threading
import types

import pytest

from glance_rawstore import exceptions
from glance_rawstore.tasks import insisting


@pytest.mark.parametrize(
    'error', [exceptions.Damaged, exceptions.Blocklisted, KeyError]
)
def test_what_trying_again_does_not_mend_is_tried_once(error):
    tries = []

    def action():
        tries.append(1)
        raise error

    job = types.SimpleNamespace(stop=threading.Event())
    insisting.insist(job, action)

    assert len(tries) == 1


def test_a_pause_that_was_chosen_before_the_end_is_cut_short(monkeypatch):
    slept = []
    monkeypatch.setattr(insisting.time, 'sleep', slept.append)
    stop = threading.Event()
    waits = insisting._Insisting(stop)
    state = types.SimpleNamespace(attempt_number=9, seconds_since_start=100)
    seconds = waits.pause(state)
    assert seconds == 30

    stop.set()
    waits.sleep(seconds)

    assert slept == [insisting._SHORT_PAUSE]
