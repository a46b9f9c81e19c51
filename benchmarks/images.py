# SPDX-License-Identifier: Apache-2.0
"""The images that are timed: always the same bytes, about half compressible.

A guest's disk is neither zeros nor noise. Pages of text and pages of noise
are mixed so that zlib leaves 47 % of them and decompresses 1 GiB in 4 s of
processor time, which is what it does with /usr of a Debian 12.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from pathlib import Path

from tests.processes import run

MIB = 1 << 20

# in bytes
PAGE = 4096
TEXT = 4 * MIB

# Data comes in runs of 16 MiB, each followed by three times as much nothing:
# a disk that is a quarter full, as file systems scatter it.
RUN = 16 * MIB
VIRTUAL_TO_DATA = 4

# part of the pages that are noise; zlib then leaves half of the data
NOISE = 0.125

SEED = 'glance-rawstore'

# in seconds; compressing takes longest
QEMU_TIMEOUT = 3600


@dataclasses.dataclass(frozen=True)
class Image:
    """A qcow2 file and what is in it.

    :param name: of its kind, plain or compressed
    :param data: bytes of guest data
    :param virtual: size of the guest's disk, in bytes
    :param size: of the file, in bytes
    """

    name: str
    path: Path
    data: int
    virtual: int
    size: int


def make(directory: Path, data: int) -> list[Image]:
    """Make the plain and the compressed image; keep those that are there.

    :param directory: where they are put
    :param data: bytes of guest data, in whole MiB
    """
    options = {'plain': [], 'compressed': ['-c']}
    paths = {
        name: directory / f'{name}-{data // MIB}.qcow2' for name in options
    }
    missing = [name for name, path in paths.items() if not path.exists()]
    if missing:
        raw = directory / 'disk.raw'
        virtual = data * VIRTUAL_TO_DATA
        write_disk(raw, data, virtual, RUN, VIRTUAL_TO_DATA * RUN)
        for name in missing:
            _convert(raw, paths[name], options[name])
        raw.unlink()
    virtual = data * VIRTUAL_TO_DATA
    return [
        Image(name, path, data, virtual, path.stat().st_size)
        for name, path in paths.items()
    ]


def _convert(raw: Path, path: Path, options: list[str]) -> None:
    command = ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', *options]
    # Under its own name only when whole, so that none is reused half made.
    part = path.with_suffix('.part')
    # Without -W: clusters lie in order, as in images that people publish.
    run([*command, '-m', '16', str(raw), str(part)], QEMU_TIMEOUT)
    part.rename(path)


def write_disk(
    path: Path, data: int, virtual: int, length: int, every: int
) -> None:
    """Write a guest's disk, sparse.

    :param data: bytes of it
    :param virtual: its size in bytes
    :param length: bytes of data in one run, whole pages
    :param every: bytes from the start of a run to that of the next one
    """
    with path.open('wb') as disk:
        for number, content in enumerate(_runs(data, length)):
            disk.seek(number * every)
            disk.write(content)
        disk.truncate(virtual)


def _runs(data: int, length: int) -> Iterator[bytes]:
    """Give the guest's data, run by run."""
    chance = random.Random(SEED)
    text = _text(chance)
    while data > 0:
        pages = min(length, data) // PAGE
        yield b''.join(_page(chance, text) for _ in range(pages))
        data -= length


def _page(chance: random.Random, text: bytes) -> bytes:
    if chance.random() < NOISE:
        return chance.randbytes(PAGE)
    start = chance.randrange(TEXT - PAGE)
    return text[start : start + PAGE]


def _text(chance: random.Random) -> bytes:
    """Return 4 MiB of made-up words, some of them frequent, most rare."""
    letters = b'etaoinshrdlucmfw'
    words = [
        bytes(chance.choices(letters, k=chance.randint(2, 10)))
        for _ in range(1000)
    ]
    weights = [1 / rank for rank in range(1, len(words) + 1)]
    return b' '.join(chance.choices(words, weights, k=TEXT // 3))[:TEXT]
