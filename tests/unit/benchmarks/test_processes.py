# SPDX-License-Identifier: Apache-2.0
"""What is read of processes."""

import os
import subprocess
import sys
import time

import pytest

from benchmarks import processes

BUSY = 'import time\nwhile time.process_time() < 0.3: pass'


def test_seconds_of_a_core_are_those_of_the_kernel():
    before = processes.cpu(os.getpid())
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    # it counts in hundredths
    assert processes.cpu(os.getpid()) - before == pytest.approx(0.2, abs=0.1)


def test_children_count_when_they_have_ended():
    before = processes.cpu_of_children(os.getpid())
    subprocess.run([sys.executable, '-c', BUSY], check=True)
    used = processes.cpu_of_children(os.getpid()) - before
    assert 0.3 <= used + 0.02 < 2


def test_who_is_gone_has_used_nothing():
    gone = subprocess.Popen(['true'])
    gone.wait()
    assert processes.cpu(gone.pid) == 0


def test_threads_are_counted_by_their_name():
    name = processes.name(os.getpid())
    before = processes.cpu_of_threads(os.getpid(), name)
    until = time.process_time() + 0.05
    while time.process_time() < until:
        pass
    used = processes.cpu_of_threads(os.getpid(), name) - before
    assert used == pytest.approx(0.05, abs=0.02)
    assert processes.cpu_of_threads(os.getpid(), 'another') == 0
