# SPDX-License-Identifier: Apache-2.0
"""What memory one conversion takes, by the size of the image.

Imports are watched here and not timed, so the machine need not be quiet.
"""

from __future__ import annotations

from benchmarks import bed
from benchmarks import footprint
from benchmarks import guests
from benchmarks import parts
from benchmarks.comparisons import Comparison
from benchmarks.guests import GIB
from benchmarks.images import MIB
from benchmarks.images import Image

# Of all processes of one conversion, in bytes.
CONVERSION_AT_MOST = 300 * MIB
# Of the API's workers, in bytes.
API_AT_MOST = 32 * MIB

TIB = 1024 * GIB


def large(run: parts.Run) -> Image:
    """6 GiB of data in 200 GiB."""
    return guests.make(run.directory, guests.LARGE, 6 * GIB, 200 * GIB)


def empty(run: parts.Run) -> Image:
    """Nothing in 1 TiB."""
    return guests.make(run.directory, guests.EMPTY, 0, TIB)


def scattered(run: parts.Run) -> Image:
    """512 MiB in 1 TiB, a cluster in every 128 MiB."""
    return guests.make(run.directory, guests.SCATTERED, 512 * MIB, TIB)


@parts.part(
    'memory',
    'what one conversion takes of it, by the size of the image',
    glances=lambda options: (bed.OURS, bed.STAGED),
)
def _memory(run: parts.Run) -> None:
    small = guests.make(run.directory, guests.SPARSE, 256 * MIB)
    for who in (bed.OURS, bed.STAGED):
        found = [_watched(run, who, small)]
        for make in (large, empty, scattered):
            found.append(_watched(run, who, make(run)))
        run.compare(
            Comparison(
                f'memory of a conversion, {who}: most of the others / 1 GiB',
                '',
                max(found[1:]) / found[0],
            )
        )


def _watched(run: parts.Run, who: str, image: Image) -> int:
    """Add what an import was seen to take; return that of its conversion."""
    run.stage.settle()
    found = footprint.measure(run.stage, who, image)
    run.result.footprints.append(found)
    shown = f'{image.name}, {image.virtual // GIB} GiB'
    growth = max(found.rss_conversion, found.pss_conversion)
    for what, size, bound in (
        ('memory of a conversion', found.children, CONVERSION_AT_MOST),
        ('API memory, converting', growth, API_AT_MOST),
    ):
        run.add(f'{what}, {who}', [size], 'bytes', shown)
        run.compare(
            Comparison(f'{what}, {who}', shown, size, 'bytes', at_most=bound)
        )
    return found.children
