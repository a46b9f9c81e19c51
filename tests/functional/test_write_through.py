# SPDX-License-Identifier: Apache-2.0
"""What qemu-img has written is in the OSDs, whatever ceph.conf says."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from glance_rawstore import ceph
from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import nodes
from tests.cluster import Cluster
from tests.processes import run

MIB = 1 << 20
OPTION = 'rbd_cache_writethrough_until_flush'
CACHE = 'rbd_cache'
LIMITS = child.Limits(address_space=4096 * MIB, cpu_time=60, stall=60)
#: Data that comes slowly enough to be looked at meanwhile.
SLOW = {
    'driver': 'null-co',
    'size': 64 * MIB,
    'latency-ns': 10**9,
    'read-zeroes': False,
}


@pytest.fixture
def target(cluster: Cluster) -> Iterator[str]:
    cluster.rbd('create', 'volumes/target', '--size', '64M')
    yield 'target'
    cluster.empty_pool('volumes')


def test_writes_are_not_kept_for_a_flush_whose_failure_passes_unnoticed(
    cluster: Cluster, target: str, tmp_path: Path
) -> None:
    conf = tmp_path / 'ceph.conf'
    careless = f'[client]\n{OPTION} = false\n{CACHE} = true\n'
    sockets = f'admin socket = {tmp_path}/$pid\n'
    conf.write_text(cluster.conf.read_text() + careless + sockets)
    settings = ceph.Settings(str(conf), 'admin', 'volumes')
    with ceph.connect(settings) as (client, _ioctx):
        assert client.conf_get(OPTION) == 'false', 'for everybody else'
    used = []

    def look_and_stop() -> Exception | None:
        for socket in tmp_path.glob('[0-9]*'):
            ask = ['ceph', '--admin-daemon', str(socket), 'config', 'get']
            for option in (OPTION, CACHE):
                used.append(json.loads(run([*ask, option], 30)))
            return exceptions.Cancelled()
        return None

    with pytest.raises(exceptions.Cancelled):
        convert.QemuImg(LIMITS).convert(
            nodes.source('raw', SLOW),
            nodes.rbd('volumes', target, str(conf), 'admin'),
            1,
            child.Callbacks(stop=look_and_stop),
        )

    assert used == [{OPTION: 'true'}, {CACHE: 'false'}]
