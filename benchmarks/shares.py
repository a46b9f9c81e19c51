# SPDX-License-Identifier: Apache-2.0
"""Who uses the cores from the import call on, as the kernel counts them.

Seconds of a core hardly depend on what else runs, so the machine need not be
quiet. What they add up to, over the number of cores, is the least that an
import can take here.
"""

from __future__ import annotations

import os

from benchmarks import bed
from benchmarks import imports
from benchmarks import parts
from benchmarks import processes
from benchmarks.images import Image

UNIT = 'seconds of a core'
# What reads and hashes the upload and sends it to Ceph; what decodes and
# writes the copy, and hashes the staged file; Ceph's part of both.
API, CHILDREN, OSD = 'API', 'qemu-img and hashing', 'OSD'


@parts.part(
    'shares',
    'who uses them during an import',
    glances=lambda options: (bed.ALONE, bed.OURS, bed.STAGED),
)
def _shares(run: parts.Run) -> None:
    for image in run.images:
        for who in (bed.ALONE, bed.OURS, bed.STAGED):
            found = [
                _used(run.stage, who, image) for _ in range(run.result.repeat)
            ]
            total = [sum(each.values()) for each in found]
            for what in (OSD, API, CHILDREN):
                values = [each[what] for each in found]
                run.add(f'{who}: {what}', values, UNIT, image.name)
            cores = os.cpu_count() or 1
            least = [each / cores for each in total]
            run.add(f'{who}: all, over {cores} cores', least, image=image.name)


def _used(stage: bed.Bed, who: str, image: Image) -> dict[str, float]:
    """Import an image; return what that took of the cores, by whom."""
    stage.settle()
    cloud = stage.clouds[who]
    with imports.staged(cloud, image, raw=who in bed.WITH_US) as job:
        before = _counted(stage, who)
        job.run()
        after = _counted(stage, who)
    return {what: after[what] - before[what] for what in after}


def _counted(stage: bed.Bed, who: str) -> dict[str, float]:
    workers = stage.clouds[who].api_pids()
    return {
        OSD: processes.cpu(stage.cluster.osd_pid),
        API: sum(map(processes.cpu, workers)),
        # those that have ended, which all have when the copy is active
        CHILDREN: sum(map(processes.cpu_of_children, workers)),
    }
