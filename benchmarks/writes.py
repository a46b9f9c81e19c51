# SPDX-License-Identifier: Apache-2.0
"""What qemu-img is told, against what else it could be told.

Each way converts an image alone, from RBD and from a local file, and differs
from what we do (``QemuImg.convert`` and ``nodes.py``) in one thing. Seconds
say which is quicker here; cores that are busy with other work say less about
the seconds of a core, which are of qemu-img and of the OSD.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tenacity

from benchmarks import bed
from benchmarks import guests
from benchmarks import parts
from benchmarks import processes
from benchmarks.comparisons import Comparison
from benchmarks.comparisons import within
from benchmarks.images import MIB
from benchmarks.images import Image
from glance_rawstore import convert
from glance_rawstore import nodes
from tests.processes import ProcessError

# bytes of data; much less and starting qemu-img counts for most of it
DATA = 512 * MIB
LITTLE = 128 * MIB
TIB = 1 << 40

# The pool of the images that are converted; of the copies it is bed.POOL.
SOURCES = 'sources'

# in seconds
TIMEOUT = 300

Node = dict[str, Any]

# What nodes.py says of the tables of a qcow2.
TABLES_NOW = {
    key: value
    for key, value in nodes.source('qcow2', {}, guests.CLUSTER).items()
    if key.startswith('l2-')
}


@dataclasses.dataclass(frozen=True)
class Way:
    """How to convert: by default, as we do.

    :param name: what differs
    :param zeros: so many are left out where they are data
    :param requests: requests under way at once
    :param ordered: writes follow one another as on the disk
    :param cached: librbd's cache for source and target
    :param object_size: of the target, in MiB
    :param ceph: more of CEPH_ARGS
    :param tables: options of qcow2's tables; None for qemu's own
    :param served: the source is read from a qemu-storage-daemon
    """

    name: str
    zeros: str = str(convert.ZEROS)
    requests: int = 16
    ordered: bool = False
    cached: bool = False
    object_size: int = 8
    ceph: str = ''
    tables: Node | None = dataclasses.field(default_factory=lambda: TABLES_NOW)
    served: bool = False


OURS = Way('as now')
WAYS = (
    OURS,
    Way('-m 1', requests=1),
    Way('-m 4', requests=4),
    Way('-m 8', requests=8),
    Way('without -W', ordered=True),
    Way('cache', cached=True),
    Way('objects of 4 MiB', object_size=4),
    Way('objects of 16 MiB', object_size=16),
    Way('zero copy', ceph='--rbd_disable_zero_copy_writes=false'),
    Way('no scheduler', ceph='--rbd_io_scheduler=none'),
    Way('one thread', ceph='--librados_thread_count=1'),
    Way('read as a whole', ceph='--rbd_sparse_read_threshold_bytes=1G'),
    Way('over NBD', served=True),
)
# Of an image whose clusters are decompressed one by one.
_OF_COMPRESSED = ('-m 4', '-m 8', 'cache', 'no scheduler', 'over NBD')
COMPRESSED = (OURS, *(way for way in WAYS if way.name in _OF_COMPRESSED))
SPARSE = (
    OURS,
    Way('-S 4k', zeros='4k'),
    Way('-S 16k', zeros='16k'),
    Way('-S 1M', zeros='1M'),
)
TABLES = (
    OURS,
    Way('tables as qemu reads them', tables=None),
    Way(
        'tables, all kept',
        tables={'l2-cache-size': 128 * MIB},
    ),
)


@dataclasses.dataclass(frozen=True)
class Cost:
    """What one conversion took, in seconds.

    :param cores: of a core, by qemu-img and by the OSD
    """

    wall: float
    cores: float


@parts.part('writes', 'what else qemu-img could be told, and what it takes')
def _writes(run: parts.Run) -> None:
    plain = guests.make(run.directory, guests.SPARSE, DATA)
    _compare(run, plain, WAYS)
    compressed = guests.make(run.directory, guests.COMPRESSED, DATA // 2)
    _compare(run, compressed, COMPRESSED)
    for shape in (guests.SPECKLED, guests.ZEROS, guests.FRAGMENTED):
        data = LITTLE // shape.length * shape.length
        _compare(run, guests.make(run.directory, shape, data), SPARSE)
    scattered = guests.make(run.directory, guests.SCATTERED, 512 * MIB, TIB)
    _compare(run, scattered, TABLES)


def _compare(run: parts.Run, image: Image, ways: Sequence[Way]) -> None:
    """Let all ways have a turn in each round, from RBD and from a file."""
    _store(run.stage, image)
    rbd = {'pool': SOURCES, 'image': 'source', **run.stage.rados}
    sources = {
        'RBD': {'driver': 'rbd', **rbd},
        'file': {'driver': 'file', 'filename': str(image.path)},
    }
    for where, source in sources.items():
        costs: dict[str, list[Cost]] = {way.name: [] for way in ways}
        for _ in range(run.result.repeat):
            for way in ways:
                costs[way.name].append(_convert(run.stage, image, source, way))
        _report(run, f'{image.name}, {where}', costs)


def _report(run: parts.Run, image: str, costs: dict[str, list[Cost]]) -> None:
    base = [each.wall for each in costs[OURS.name]]
    for name, found in costs.items():
        walls = [each.wall for each in found]
        row = run.add(name, walls, image=image)
        run.add(
            name, [each.cores for each in found], 'seconds of a core', image
        )
        if name != OURS.name:
            run.compare(
                Comparison(
                    f'{name} / as now',
                    image,
                    row.median / sorted(base)[len(base) // 2],
                    spread=within(walls, base),
                )
            )


def _store(stage: bed.Bed, image: Image) -> None:
    """Put an image into RBD, in place of the one before."""
    stage.cluster.create_pool(SOURCES)
    stage.cluster.empty_pool(SOURCES)
    source = f'{SOURCES}/source'
    size = ('--object-size', '8M')
    stage.cluster.rbd(
        'import', *size, str(image.path), source, timeout=TIMEOUT
    )


def _convert(stage: bed.Bed, image: Image, source: Node, way: Way) -> Cost:
    """Convert an image in one way."""
    target = f'{bed.POOL}/target'
    with contextlib.ExitStack() as stack:
        stage.cluster.empty_pool(bed.POOL)
        options = ['--image-feature', 'layering']
        options += ['--object-size', f'{way.object_size}M']
        stage.cluster.rbd(
            'create', *options, '--size', f'{image.virtual}B', target
        )
        environment = {
            **os.environ,
            'MALLOC_ARENA_MAX': '4',
            'CEPH_ARGS': way.ceph,
        }
        original = _original(source, way)
        osd = processes.cpu(stage.cluster.osd_pid)
        start = time.monotonic()
        server = None
        if way.served:
            served = stack.enter_context(_served(original, environment))
            server, original = served
        process = subprocess.Popen(
            command(original, _target(stage, way), way), env=environment
        )
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = status
        wall = time.monotonic() - start
        cores = used.ru_utime + used.ru_stime
        cores += processes.cpu(server) if server else 0.0
        cores += processes.cpu(stage.cluster.osd_pid) - osd
    if status != 0:
        raise ProcessError(f'{way.name}: qemu-img ended with {status}')
    return Cost(wall, cores)


def _original(source: Node, way: Way) -> Node:
    node = nodes.source('qcow2', source) | (way.tables or {})
    if source['driver'] == 'rbd':
        node['file'] = source | {'cache': {'direct': not way.cached}}
    return node


def _target(stage: bed.Bed, way: Way) -> Node:
    return {
        'driver': 'raw',
        'file': {
            'driver': 'rbd',
            'pool': bed.POOL,
            'image': 'target',
            'cache': {'direct': not way.cached},
            **stage.rados,
        },
    }


def command(source: Node, target: Node, way: Way) -> list[str]:
    """Return the command; by default, as convert.QemuImg runs it.

    Without -p, since nobody looks at the progress.
    """
    words = ['qemu-img', 'convert', '-n', '--target-is-zero']
    words += [] if way.ordered else ['-W']
    words += ['-m', str(way.requests), '-S', way.zeros]
    words += ['--target-image-opts', nodes.as_json(source)]
    return [*words, nodes.as_options(target)]


@contextlib.contextmanager
def _served(node: Node, environment: dict[str, str]) -> Iterator[Any]:
    """Serve a node over NBD; give the server's pid, and a node that asks it.

    The server tells of neighbouring compressed clusters as of one stretch,
    which qemu-img by itself takes for one of 64 KiB each.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / 'nbd'
        server = subprocess.Popen(
            [
                *('qemu-storage-daemon', '--blockdev'),
                json.dumps({'node-name': 'source', **node}),
                *('--nbd-server', f'addr.type=unix,addr.path={path}'),
                *('--export', 'nbd,id=e,node-name=source,name=e'),
            ],
            env=environment,
            stderr=subprocess.DEVNULL,
        )
        try:
            _await(path)
            address = {'type': 'unix', 'path': str(path)}
            client = {'driver': 'nbd', 'server': address, 'export': 'e'}
            yield server.pid, {'driver': 'raw', 'file': client}
        finally:
            server.terminate()
            server.wait(TIMEOUT)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(OSError),
    stop=tenacity.stop_after_delay(10),
    wait=tenacity.wait_fixed(0.01),
)
def _await(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
