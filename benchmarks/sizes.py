# SPDX-License-Identifier: Apache-2.0
"""Time by size of the image: for the plot, and for very large images."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from benchmarks import bed
from benchmarks import contestants
from benchmarks import guests
from benchmarks import memory
from benchmarks import parts
from benchmarks import usual
from benchmarks.contestants import Contestant
from benchmarks.images import MIB
from benchmarks.images import Image

# MiB of data in the images of the plot; their disks are four times as large.
DATA = (64, 256, 1024, 4096)


# Those that the plot has: what else there is is in the part imports.
DRAWN = (
    contestants.qemu_img_file,
    contestants.alone,
    contestants.ours,
    contestants.conversion,
)


@parts.part(
    'sizes',
    'time by size of the image, for the plot',
    glances=lambda options: (bed.OURS, bed.ALONE, bed.CONVERSION),
)
def _sizes(run: parts.Run) -> None:
    usual.warm_up(run)
    for data in DATA:
        image = guests.make(run.directory, guests.SPARSE, data * MIB)
        image = dataclasses.replace(image, name=f'{data} MiB')
        _turn(run, DRAWN, image)
        usual.make_volumes(run, image, run.result.repeat, warm_ups=0)


@parts.part(
    'large',
    'images of 200 GiB and of 1 TiB',
    glances=lambda options: (bed.OURS, bed.ALONE, bed.STAGED),
)
def _large(run: parts.Run) -> None:
    usual.warm_up(run)
    for make in (memory.large, memory.empty):
        image = make(run)
        everybody = contestants.of(run.stage)
        if not image.data:
            everybody.remove(contestants.floor)  # nothing to write
        _turn(run, everybody, image)


def _turn(
    run: parts.Run, everybody: Iterable[Contestant], image: Image
) -> None:
    """Let everybody have a turn in each round."""
    run.result.images = [*run.result.images, image]
    for number in range(run.result.repeat):
        for contestant in everybody:
            usual.turn(run, contestant, image, number)
