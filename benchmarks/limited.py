# SPDX-License-Identifier: Apache-2.0
"""How much Glance notices of conversions that may write only so fast.

For clouds whose OSDs share cores or disks with something that must not wait:
librbd's own limit, set for the raw pool alone.
"""

from __future__ import annotations

from benchmarks import bed
from benchmarks import neighbours
from benchmarks import parts

LIMIT = 'rbd_qos_write_bps_limit'
#: What each conversion may write in a second, in MiB, by way.
RATES = {'no limit': 0, '32 MiB/s': 32, '16 MiB/s': 16, '8 MiB/s': 8}


@parts.part(
    'limited',
    'how long Glance takes to answer beside conversions that may write only '
    'so much in a second',
    glances=neighbours.ours,
)
def _limited(run: parts.Run) -> None:
    cloud = run.stage.clouds[bed.OURS]

    def choose(way: str) -> None:
        rate = str(RATES[way] << 20)
        pool = cloud.raw_pool
        cloud.cluster.rbd('config', 'pool', 'set', pool, LIMIT, rate)

    for beside in neighbours.measure(run, tuple(RATES), choose):
        neighbours.report_conversions(run, beside)
