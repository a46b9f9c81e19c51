# SPDX-License-Identifier: Apache-2.0
"""How much of the raw pool a copy takes, against what its guest has written.

What the pool stores is Ceph's own figure (``ceph df``), after the commit and
with the snapshot: what was written, and what that takes on disk.
"""

from __future__ import annotations

import json

import tenacity

from benchmarks import bed
from benchmarks import guests
from benchmarks import imports
from benchmarks import parts
from benchmarks.comparisons import Comparison
from benchmarks.images import MIB
from benchmarks.images import Image
from tests.cluster import Cluster

# Of what the pool stores to the guest's data, in blocks of 64 KiB: clusters
# of a qcow2, of which a part is written as a whole.
STORED_AT_MOST = 1.02

# bytes of data in each image
DATA = 256 * MIB

SHAPES = (
    guests.DENSE,
    guests.SPARSE,
    guests.FRAGMENTED,
    guests.ZEROS,
    guests.SPECKLED,
)

# in seconds
TIMEOUT = 60.0


@parts.part(
    'stored',
    'what copies take in the raw pool, by where their data lies',
    glances=lambda options: (bed.OURS,),
)
def _stored(run: parts.Run) -> None:
    for shape in SHAPES:
        data = DATA // shape.length * shape.length
        image = guests.make(run.directory, shape, data)
        stored, used = _import(run.stage, image)
        run.add('stored in the raw pool', [stored], 'bytes', shape.name)
        run.add('used of the disk', [used], 'bytes', shape.name)
        blocks = guests.blocks(shape, data)
        for what, size, of, bound in (
            ('stored / blocks of 64 KiB with data', stored, blocks, True),
            ('used of the disk / the same', used, blocks, True),
            ('stored / pages of 4 KiB with data', stored, data, False),
        ):
            limit = STORED_AT_MOST if bound else None
            run.compare(Comparison(what, shape.name, size / of, at_most=limit))


def _import(stage: bed.Bed, image: Image) -> tuple[int, int]:
    """Import; return the bytes that the raw pool stores, and uses of disk."""
    stage.settle()
    cloud = stage.clouds[bed.OURS]
    before = _settled(stage.cluster, cloud.raw_pool)
    with imports.staged(cloud, image, raw=True) as job:
        job.run()
        after = _settled(stage.cluster, cloud.raw_pool)
    return after[0] - before[0], after[1] - before[1]


def _settled(cluster: Cluster, pool: str) -> tuple[int, int]:
    """What ``ceph df`` says of a pool once it knows what the OSD knows now.

    As Ceph's own tests wait for it: the OSD sends its statistics, with a
    number, which the monitor has when the manager has passed them on.

    :raises tenacity.RetryError: it has not for a minute
    """
    sent = int(cluster.ceph('tell', 'osd.0', 'flush_pg_stats'))
    tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda known: known < sent),
        stop=tenacity.stop_after_delay(TIMEOUT),
        wait=tenacity.wait_fixed(0.2),
    )(lambda: int(cluster.ceph('osd', 'last-stat-seq', '0')))
    return _df(cluster, pool)


def _df(cluster: Cluster, pool: str) -> tuple[int, int]:
    """Bytes that a pool stores, and those that it uses on disk."""
    listed = json.loads(cluster.ceph('df', 'detail', '--format', 'json'))
    [stats] = [
        each['stats'] for each in listed['pools'] if each['name'] == pool
    ]
    return int(stats['stored']), int(stats['bytes_used'])
