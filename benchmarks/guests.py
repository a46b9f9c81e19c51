# SPDX-License-Identifier: Apache-2.0
"""Images of other shapes than the usual two: where data lies on the disk.

Their data is that of images.py; it comes in runs with zeros between.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

from benchmarks import images
from benchmarks.images import MIB
from benchmarks.images import Image
from tests.processes import run

KIB = 1 << 10
GIB = 1 << 30

# of a qcow2, in bytes
CLUSTER = 64 * KIB

# in seconds; of a large image
QEMU_TIMEOUT = 3600


@dataclasses.dataclass(frozen=True)
class Shape:
    """How a guest's disk is filled.

    :param length: bytes of data in one run, whole pages
    :param every: bytes from the start of a run to that of the next one
    :param flags: of the ``qemu-img convert`` that makes the qcow2
    """

    name: str
    length: int
    every: int
    flags: tuple[str, ...] = ()


DENSE = Shape('dense', 16 * MIB, 16 * MIB)
SPARSE = Shape('sparse', 16 * MIB, 64 * MIB)
FRAGMENTED = Shape('fragmented', CLUSTER, MIB)
COMPRESSED = Shape('compressed', 16 * MIB, 64 * MIB, ('-c',))
# Zeros that are written, as a guest does that fills its disk with them.
ZEROS = Shape('zeros', 16 * MIB, 64 * MIB, ('-S', '0'))
# Pages of zeros within clusters, as file systems leave them.
SPECKLED = Shape('speckled', 12 * KIB, 16 * KIB)

LARGE = Shape('large', 16 * MIB, 512 * MIB)
SCATTERED = Shape('scattered', CLUSTER, 128 * MIB)
EMPTY = Shape('empty', MIB, MIB)


def make(
    directory: Path, shape: Shape, data: int, virtual: int | None = None
) -> Image:
    """Make an image; keep the one that is there.

    :param directory: where it is put
    :param data: bytes of guest data, in whole runs
    :param virtual: size of the disk in bytes; what the data needs if None
    """
    count = data // shape.length
    virtual = virtual or count * shape.every
    name = f'{shape.name}-{data // MIB}-{virtual // MIB}'
    path = directory / f'{name}.qcow2'
    if not path.exists():
        raw = directory / f'{name}.raw'
        images.write_disk(raw, data, virtual, shape.length, shape.every)
        part = path.with_suffix('.part')
        command = ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2']
        command += ['-m', '16', *shape.flags, str(raw), str(part)]
        run(command, QEMU_TIMEOUT)
        raw.unlink()
        part.rename(path)
    return Image(shape.name, path, data, virtual, path.stat().st_size)


def blocks(shape: Shape, data: int) -> int:
    """Return the bytes of all clusters that have any of the data.

    :param data: bytes of it, in whole runs
    """
    count = data // shape.length
    if shape.every < CLUSTER:
        return -(-count * shape.every // CLUSTER) * CLUSTER
    return count * -(-shape.length // CLUSTER) * CLUSTER
