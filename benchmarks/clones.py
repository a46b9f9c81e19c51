# SPDX-License-Identifier: Apache-2.0
"""How long a clone of a raw copy takes, against one of any RBD image.

Both are timed in turn, by the rbd command, which mostly starts itself, and
by the binding that Nova and Cinder use, on a connection that is open.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import rbd

from benchmarks import bed
from benchmarks import imports
from benchmarks.images import Image
from tests.processes import run

COUNT = 20

# in seconds
COMPARE_TIMEOUT = 900

SNAPSHOT = 'snap'
# the snapshot that a bare clone is made of
BARE = 'bare'

# a parent, pool and image; and the name of a clone of it
Clone = Callable[[tuple[str, str], str], None]


def measure(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Make a raw copy, clone it many times; return median seconds.

    :returns: by what is cloned and how, e.g. 'raw copy, rbd'
    """
    cloud = stage.clouds[bed.OURS]
    make_bare(stage, image)
    with imports.staged(cloud, image, raw=True) as job:
        job.run()
        _compare(stage, image, f'{cloud.raw_pool}/{job.image_id}_raw')
        parents = {
            'bare': (bed.POOL, BARE),
            'raw copy': (cloud.raw_pool, f'{job.image_id}_raw'),
        }
        seconds = {
            **_time(parents, 'command', _by_command(stage)),
            **_by_binding(stage, parents),
        }
        # A raw copy that is cloned outlives its image.
        stage.cluster.empty_pool(bed.POOL)
    return seconds


def _compare(stage: bed.Bed, image: Image, copy: str) -> None:
    """Compare a raw copy with its original, since all this is about speed.

    :param copy: pool and image
    :raises ProcessError: if a guest would see another disk
    """
    pool, name = copy.split('/')
    node = {'driver': 'rbd', 'pool': pool, 'image': name, **stage.rados}
    options = ','.join(f'file.{key}={value}' for key, value in node.items())
    run(
        [
            *('qemu-img', 'compare', '--image-opts'),
            f'driver=qcow2,file.driver=file,file.filename={image.path}',
            f'driver=raw,{options},file.snapshot={SNAPSHOT}',
        ],
        COMPARE_TIMEOUT,
    )


def make_bare(stage: bed.Bed, image: Image) -> None:
    """Make an image as large, with as much data, and its snapshot."""
    name = f'{bed.POOL}/{BARE}'
    ask = stage.cluster.rbd
    ask('create', '--object-size', '8M', '--size', f'{image.virtual}B', name)
    options = ['--io-type', 'write', '--io-size', '4M']
    ask('bench', *options, '--io-total', str(image.data), name)
    ask('snap', 'create', f'{name}@{SNAPSHOT}')
    ask('snap', 'protect', f'{name}@{SNAPSHOT}')


def _time(
    parents: dict[str, tuple[str, str]], how: str, clone: Clone
) -> dict[str, float]:
    seconds: dict[str, list[float]] = {what: [] for what in parents}
    for number in range(COUNT):
        for what, parent in parents.items():
            name = f'{how}-{what}-{number}'.replace(' ', '-')
            start = time.monotonic()
            clone(parent, name)
            seconds[what].append(time.monotonic() - start)
    return {
        f'{what}, {how}': statistics.median(found)
        for what, found in seconds.items()
    }


def _by_command(stage: bed.Bed) -> Clone:
    def clone(parent: tuple[str, str], name: str) -> None:
        pool, image = parent
        stage.cluster.rbd(
            'clone', f'{pool}/{image}@{SNAPSHOT}', f'{bed.POOL}/{name}'
        )

    return clone


def _by_binding(
    stage: bed.Bed, parents: dict[str, tuple[str, str]]
) -> dict[str, float]:
    connection = stage.cluster.connect()
    try:
        pools = {pool for pool, _ in parents.values()} | {bed.POOL}
        open_pools = {pool: connection.open_ioctx(pool) for pool in pools}

        def clone(parent: tuple[str, str], name: str) -> None:
            pool, image = parent
            rbd.RBD().clone(
                open_pools[pool], image, SNAPSHOT, open_pools[bed.POOL], name
            )

        return _time(parents, 'binding', clone)
    finally:
        connection.shutdown()
