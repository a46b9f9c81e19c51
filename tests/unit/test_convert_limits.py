# SPDX-License-Identifier: Apache-2.0
"""What the real qemu-img may use, and that it does not outlive us."""

import hashlib
import os
import shutil
import subprocess
import sys

import psutil
import pytest

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from tests.unit.test_convert_running import GIB
from tests.unit.test_convert_running import MIB
from tests.unit.test_convert_running import device
from tests.unit.test_convert_running import run
from tests.waiting import DEADLINE
from tests.waiting import eventually

pytestmark = pytest.mark.skipif(
    shutil.which('qemu-img') is None, reason='qemu-img is not installed'
)

HASHING = child.Limits(4 * GIB, cpu_time=60, stall=0.1, nice=19)


def test_no_more_cpu_time_is_used_than_allowed():
    limits = child.Limits(4 * GIB, cpu_time=1, stall=DEADLINE)

    with pytest.raises(exceptions.ConversionFailed, match='CPU time'):
        run(*device(1 << 50), limits=limits, requests=16)


@pytest.mark.parametrize('space', [8 * MIB, 30 * MIB])
def test_no_more_address_space_is_used_than_allowed(space):
    limits = child.Limits(space, cpu_time=60, stall=DEADLINE)

    with pytest.raises(exceptions.ConversionFailed):
        run(*device(64 * MIB), limits=limits, requests=16)


@pytest.mark.parametrize('algorithm', sorted(convert.HASHES))
def test_a_hash_is_that_of_hashlib(tmp_path, algorithm):
    data = os.urandom(3 * MIB + 17)
    (tmp_path / 'file').write_bytes(data)
    expected = hashlib.new(algorithm, data).hexdigest()

    with (tmp_path / 'file').open('rb') as file:
        path = f'/proc/{os.getpid()}/fd/{file.fileno()}'
        found = convert.digest(path, algorithm, HASHING, lambda: None)

    assert found == expected


def test_hashing_stops_when_told(tmp_path):
    os.mkfifo(tmp_path / 'endless')
    path = str(tmp_path / 'endless')

    with pytest.raises(exceptions.ImageDeleted):
        convert.digest(path, 'sha512', HASHING, exceptions.ImageDeleted)


def test_what_cannot_be_read_has_no_hash(tmp_path):
    with pytest.raises(exceptions.ConversionFailed):
        convert.digest(str(tmp_path), 'md5', HASHING, lambda: None)


PARENT = """
from glance_rawstore import child, convert, nodes
target = {'driver': 'null-co', 'size': 1 << 30, 'latency-ns': 10 ** 13}
source = nodes.source('raw', target | {'read-zeroes': False})
convert.QemuImg(child.Limits(4 << 30, 60, 600)).convert(
    source, target, 1, child.Callbacks())
"""


def alive(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_qemu_img_dies_with_the_process_that_started_it():
    parent = subprocess.Popen([sys.executable, '-c', PARENT])
    try:
        (qemu_img,) = eventually(
            lambda: [
                p
                for p in psutil.Process(parent.pid).children()
                if alive(p) and p.name() == 'qemu-img'
            ],
            'qemu-img runs',
        )
    finally:
        parent.kill()
        parent.wait(DEADLINE)

    eventually(lambda: not alive(qemu_img), 'qemu-img ends')
