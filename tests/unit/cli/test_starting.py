# SPDX-License-Identifier: Apache-2.0
"""The command line waits neither for ever nor past Ctrl-C."""

import dataclasses
import signal
import subprocess
import sys

import pytest

from glance_rawstore import stores
from glance_rawstore.agent.node import Node
from glance_rawstore.cli import starting
from tests.waiting import DEADLINE

# A lock that is taken twice is waited for within the C library for ever,
# whatever signals come: as librados waits for an answer. It is said when the
# kernel has the main thread waiting for it.
_STUCK = """
import ctypes, threading
from glance_rawstore.cli import starting

lock = ctypes.create_string_buffer(256)
library = ctypes.CDLL(None)
address = hex(ctypes.addressof(lock))
call = f'/proc/self/task/{threading.get_native_id()}/syscall'

def tell():
    while address not in open(call).read():
        pass
    print('waiting', flush=True)

with starting.interruptible():
    threading.Thread(target=tell, daemon=True).start()
    library.pthread_mutex_lock(lock)
    library.pthread_mutex_lock(lock)
"""
_SLEEPS = """
import time
from glance_rawstore.cli import starting

starting._NOTICE = 600
try:
    with starting.interruptible():
        print('waiting', flush=True)
        time.sleep(600)
except KeyboardInterrupt:
    print('noticed')
"""
# Nothing of Python's runs between the two, so it takes note of both at once.
_TWICE = """
import ctypes, signal, time
from glance_rawstore.cli import starting

starting._NOTICE = 0.1
try:
    with starting.interruptible():
        try:
            list(map(ctypes.CDLL(None)['raise'], [signal.SIGINT] * 2))
        finally:
            time.sleep(1)
except KeyboardInterrupt:
    print('noticed')
"""


def _interrupted(program):
    """Its exit status, what it wrote since, and its stderr."""
    with subprocess.Popen(
        [sys.executable, '-c', program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == 'waiting\n'
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def test_ctrl_c_ends_what_waits_within_a_library():
    status, _, err = _interrupted(_STUCK)

    assert status == 130
    assert err == (
        'glance-rawstore: interrupted while waiting for an answer of Ceph\n'
    )


def test_ctrl_c_is_left_to_python_where_that_takes_note():
    assert _interrupted(_SLEEPS) == (0, 'noticed\n', '')


def test_ctrl_c_pressed_twice_is_noticed_once_and_leaves_time_to_clean_up():
    ended = subprocess.run(
        [sys.executable, '-c', _TWICE],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )

    assert (ended.returncode, ended.stdout, ended.stderr) == (
        0,
        'noticed\n',
        '',
    )


def test_what_was_there_for_signals_is_there_again():
    before = signal.getsignal(signal.SIGINT)

    with starting.interruptible():
        assert signal.getsignal(signal.SIGINT) is not before

    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize(
    ('configured', 'expected'), [(-1, 30), (0, 30), (5, 5), (300, 300)]
)
def test_an_answer_is_waited_for_as_long_as_is_configured_or_30_s(
    world, configured, expected
):
    settings = dataclasses.replace(world.settings, timeout=configured)
    store = stores.Store('raw', stores.DRIVER, 0, settings)

    assert starting.bounded(store).rbd.timeout == expected


def test_ceph_is_asked_before_glance_is_started(world, command, monkeypatch):
    """Glance would wait for it for ever, and without a word."""
    world.cluster.away = True
    monkeypatch.setattr(Node, 'start', lambda *_: pytest.fail('started'))

    status, out, err = command('events')

    assert (status, out) == (1, '')
    assert err.startswith('glance-rawstore: The storage cluster did not')
