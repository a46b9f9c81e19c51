# SPDX-License-Identifier: Apache-2.0
"""Who is timed. Each does its work once and returns seconds by row.

Everything that is not theirs is done before the clock starts: staging the
image, storing the original for qemu-img, creating its target.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from benchmarks import bed
from benchmarks import imports
from benchmarks.images import Image
from tests.processes import run

# Rows of the result.
FLOOR = 'floor'
QEMU_IMG = 'qemu-img'
QEMU_IMG_FILE = 'qemu-img, file'
ALONE = 'glance alone'
CONVERSION = 'image_conversion'
THIN = 'image_conversion, thin'
OURS_ACTIVE = 'ours: image active'
OURS_RAW = 'ours: raw active'
STAGED_ACTIVE = 'from staged: image active'
STAGED_RAW = 'from staged: raw active'

Contestant = Callable[[bed.Bed, Image], dict[str, float]]

# in seconds
TIMEOUT = 900

# As Glance's rbd stores do; also of our copies.
OBJECT_SIZE = '8M'
SNAPSHOT = 'snap'


def _run(command: list[str]) -> float:
    """Run a command; return how many seconds it took."""
    start = time.monotonic()
    run(command, TIMEOUT)
    return time.monotonic() - start


def create_target(stage: bed.Bed, size: int, image: str = 'target') -> str:
    """Make an empty RBD image as our copies are; return its name.

    :param size: in bytes
    :param image: its name within the pool
    """
    name = f'{bed.POOL}/{image}'
    options = ['--image-feature', 'layering', '--object-size', OBJECT_SIZE]
    stage.cluster.rbd('create', *options, '--size', f'{size}B', name)
    return name


def floor(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Write as many bytes as the guest's disk has."""
    target = create_target(stage, image.virtual)
    command = ['rbd', '-c', str(stage.cluster.conf), 'bench', target]
    command += ['--io-type', 'write', '--io-pattern', 'seq']
    command += ['--io-size', '4M', '--io-threads', '16']
    return {FLOOR: _run([*command, '--io-total', str(image.data)])}


def qemu_img(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Convert from RBD to RBD, as quickly as qemu-img can."""
    source = f'{bed.POOL}/source'
    stage.cluster.rbd(
        *('import', '--object-size', OBJECT_SIZE, str(image.path), source),
        timeout=TIMEOUT,
    )
    stage.cluster.rbd('snap', 'create', f'{source}@{SNAPSHOT}')
    protocol = {'driver': 'rbd', 'pool': bed.POOL, **stage.rados}
    snapshot = {**protocol, 'image': 'source', 'snapshot': SNAPSHOT}
    return {QEMU_IMG: _convert(stage, image, snapshot)}


def qemu_img_file(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Convert from a local file, as quickly as qemu-img can."""
    file = {'driver': 'file', 'filename': str(image.path)}
    return {QEMU_IMG_FILE: _convert(stage, image, file)}


def _convert(stage: bed.Bed, image: Image, file: dict[str, str]) -> float:
    """Convert a qcow2 with the best options known; return the seconds.

    :param file: protocol node of the source
    """
    create_target(stage, image.virtual)
    original = {'driver': 'qcow2', 'backing': None, 'file': file}
    target = {
        'driver': 'rbd',
        'pool': bed.POOL,
        **stage.rados,
        'image': 'target',
    }
    options = ','.join(f'file.{key}={value}' for key, value in target.items())
    command = ['qemu-img', 'convert', '-n', '--target-is-zero', '-W']
    command += ['-m', '16', '--target-image-opts']
    command += [f'json:{json.dumps(original)}', f'driver=raw,{options}']
    return _run(command)


def alone(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Import into a Glance that does not know us."""
    with imports.staged(stage.clouds[bed.ALONE], image) as job:
        return {ALONE: job.run().active}


def conversion(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Import into a Glance that converts to raw before it stores."""
    with imports.staged(stage.clouds[bed.CONVERSION], image) as job:
        return {CONVERSION: job.run().active}


def thin(stage: bed.Bed, image: Image) -> dict[str, float]:
    """The same, with a store that leaves holes out."""
    with imports.staged(stage.clouds[bed.THIN], image) as job:
        return {THIN: job.run().active}


def ours(stage: bed.Bed, image: Image) -> dict[str, float]:
    """Import into a Glance with us, asking for a raw copy."""
    with imports.staged(stage.clouds[bed.OURS], image, raw=True) as job:
        times = job.run()
    assert times.raw is not None
    return {OURS_ACTIVE: times.active, OURS_RAW: times.raw}


def staged(stage: bed.Bed, image: Image) -> dict[str, float]:
    """The same, where conversion begins beside the upload."""
    with imports.staged(stage.clouds[bed.STAGED], image, raw=True) as job:
        times = job.run()
    assert times.raw is not None
    return {STAGED_ACTIVE: times.active, STAGED_RAW: times.raw}


def of(stage: bed.Bed) -> list[Contestant]:
    """Return who can be timed there, in the order of the first round."""
    found: list[Contestant] = [floor, qemu_img, qemu_img_file, alone, ours]
    more = {
        bed.STAGED: staged,
        bed.CONVERSION: conversion,
        bed.THIN: thin,
    }
    found += [who for name, who in more.items() if name in stage.clouds]
    return found
