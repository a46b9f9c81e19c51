# SPDX-License-Identifier: Apache-2.0
"""Connections to a Ceph that is away, made by the real librados.

An agent tries for as long as an outage lasts, and so does glance-api.
"""

import multiprocessing
import os
import socket
from collections.abc import Iterator
from concurrent import futures
from pathlib import Path

import psutil
import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from tests.waiting import eventually

FSID = '3f5b0c9e-7d1a-4264-8e21-c6d0f7b3495a'


@pytest.fixture
def away(tmp_path: Path) -> Iterator[ceph.Settings]:
    """A cluster whose monitor takes connections, and answers none."""
    with socket.create_server(('127.0.0.1', 0)) as monitor:
        port = monitor.getsockname()[1]
        conf = tmp_path / 'ceph.conf'
        conf.write_text(
            f'[global]\nmon_host = v2:127.0.0.1:{port}\nfsid = {FSID}\n'
            + ''.join(
                f'auth_{side}_required = none\n'
                for side in ('client', 'cluster', 'service')
            )
        )
        yield ceph.Settings(str(conf), None, 'images_raw', timeout=1)


def held() -> tuple[int, int]:
    """Descriptors and threads of this process."""
    process = psutil.Process(os.getpid())
    return process.num_fds(), process.num_threads()


def try_often(away: ceph.Settings) -> None:
    before = held()

    for _ in range(3):
        with pytest.raises(exceptions.CephUnavailable), ceph.connect(away):
            pass
        assert ceph.fsid(away) == FSID

    eventually(lambda: held() == before, 'nothing is left')


def test_trying_to_connect_leaves_nothing_behind(away: ceph.Settings) -> None:
    """In a process of its own, of which nobody else closes anything."""
    spawned = multiprocessing.get_context('spawn')
    with futures.ProcessPoolExecutor(1, mp_context=spawned) as process:
        process.submit(try_often, away).result()
