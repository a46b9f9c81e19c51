# SPDX-License-Identifier: Apache-2.0
"""What the measurements are compared with, and what they are to reach."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator

from benchmarks import bed
from benchmarks import comparisons
from benchmarks import contestants as rows
from benchmarks import passes
from benchmarks import volumes
from benchmarks.comparisons import Comparison
from benchmarks.images import MIB
from benchmarks.results import Result

# Of image active with us to without us.
ACTIVE_AT_MOST = 1.05
# Of raw active to image active without us plus qemu-img.
RAW_AT_MOST = 1.3
# Of raw active to the larger of image active without us and qemu-img from a
# local file: the limit of what can be done while the image is stored.
RAW_BESIDE_AT_MOST = 1.2
# Of image_conversion to raw active.
FASTER_AT_LEAST = 3.0
# Of what Glance takes to answer with the raw view to without.
VIEW_AT_MOST = 1.1
# Of a volume by Cinder without us to one from the raw copy.
VOLUME_AT_LEAST = 10.0
# in bytes
LOCAL_AT_MOST = 0
MEMORY_AT_MOST = 32 * MIB


def compare(result: Result) -> list[Comparison]:
    """Return every comparison that can be made."""
    found = [
        *result.comparisons,
        *_clones(result),
        *_latencies(result),
        *_volumes(result),
        *_agents(result),
    ]
    for image in result.images:
        found += _ratios(result, image.name)
        found += _costs(result, image.name)
    return sorted(found, key=lambda comparison: comparison.met is None)


def _ratios(result: Result, image: str) -> Iterator[Comparison]:
    yield from _ratio(
        result,
        Comparison(
            'image active: ours / glance alone',
            image,
            at_most=ACTIVE_AT_MOST,
        ),
        (rows.OURS_ACTIVE,),
        (rows.ALONE,),
    )
    yield from _ratio(
        result,
        Comparison(
            'raw active: ours / (glance alone + qemu-img)',
            image,
            at_most=RAW_AT_MOST,
        ),
        (rows.OURS_RAW,),
        (rows.ALONE, rows.QEMU_IMG),
    )
    yield from _ratio(
        result,
        Comparison(
            'raw active: ours / larger of glance alone, qemu-img, file',
            image,
            at_most=RAW_BESIDE_AT_MOST,
        ),
        (rows.OURS_RAW,),
        (rows.ALONE, rows.QEMU_IMG_FILE),
        max,
    )
    yield from _ratio(
        result,
        Comparison(
            'clonable: image_conversion / ours',
            image,
            at_least=FASTER_AT_LEAST,
        ),
        (rows.CONVERSION,),
        (rows.OURS_RAW,),
    )
    for what, above, below in (
        ('clonable: image_conversion, thin / ours', rows.THIN, rows.OURS_RAW),
        (
            'image active: from staged / glance alone',
            rows.STAGED_ACTIVE,
            rows.ALONE,
        ),
        ('raw active: from staged / ours', rows.STAGED_RAW, rows.OURS_RAW),
        ('qemu-img / floor', rows.QEMU_IMG, rows.FLOOR),
    ):
        yield from _ratio(result, Comparison(what, image), (above,), (below,))


def _ratio(
    result: Result,
    comparison: Comparison,
    above: tuple[str, ...],
    below: tuple[str, ...],
    joined: Callable[[Iterable[float]], float] = sum,
) -> Iterator[Comparison]:
    """Give it with the ratio of two sums; nothing if one was not timed.

    :param joined: what makes one of the lower ones
    """
    upper = [t for row in above if (t := result.find(row, comparison.image))]
    lower = [t for row in below if (t := result.find(row, comparison.image))]
    if len(upper) < len(above) or len(lower) < len(below):
        return
    rounds = [
        sum(timing.seconds[number] for timing in upper)
        / joined(timing.seconds[number] for timing in lower)
        for number in range(result.repeat)
    ]
    yield dataclasses.replace(
        comparison,
        value=sum(t.median for t in upper) / joined(t.median for t in lower),
        spread=(min(rounds), max(rounds)),
    )


def _costs(result: Result, image: str) -> Iterator[Comparison]:
    ours = result.footprint(bed.OURS, image)
    alone = result.footprint(bed.ALONE, image)
    other = result.footprint(bed.CONVERSION, image)
    if ours is None or alone is None or other is None:
        return
    converting = max(ours.rss_conversion, ours.pss_conversion)
    for what, value, bound in (
        ('local disk: ours', ours.local, LOCAL_AT_MOST),
        ('local disk: image_conversion', other.local, None),
        ('API memory, converting: ours', converting, MEMORY_AT_MOST),
        ('API memory, importing: ours', ours.rss_import, None),
        ('API memory, importing: glance alone', alone.rss_import, None),
        ('qemu-img memory, peak', ours.qemu_img, None),
    ):
        yield Comparison(what, image, value, 'bytes', at_most=bound)


def _clones(result: Result) -> Iterator[Comparison]:
    for how in ('command', 'binding'):
        bare = result.clones.get(f'bare, {how}')
        copy = result.clones.get(f'raw copy, {how}')
        if bare and copy:
            yield Comparison(
                f'rbd clone by {how}: raw copy / bare',
                result.images[0].name,
                copy / bare,
            )


def _latencies(result: Result) -> Iterator[Comparison]:
    for found in result.latencies:
        yield Comparison(
            f'{found.what}, {found.who}: raw view / none',
            '',
            found.ratio,
            spread=(min(found.rounds), max(found.rounds)),
            at_most=VIEW_AT_MOST if found.usual else None,
        )


def _volumes(result: Result) -> Iterator[Comparison]:
    made = {(timing.image, timing.row): timing for timing in result.volumes}
    for image in result.images:
        clone = made.get((image.name, volumes.CLONE))
        download = made.get((image.name, volumes.DOWNLOAD))
        if clone and download:
            yield Comparison(
                'volume by Cinder: glance alone / raw copy',
                image.name,
                download.median / clone.median,
                spread=comparisons.within(download.seconds, clone.seconds),
                at_least=VOLUME_AT_LEAST,
            )


def _agents(result: Result) -> Iterator[Comparison]:
    few, many = passes.COPIES
    for what in (passes.RECONCILE, passes.REAP):
        less = result.agents.find(what, few)
        more = result.agents.find(what, many)
        if less is None or more is None:
            continue
        pair = f'{what}: {many} copies / {few}'
        yield Comparison(
            f'{pair}, seconds',
            '',
            more.median / less.median,
            spread=comparisons.within(more.seconds, less.seconds),
        )
        yield Comparison(
            f'{pair}, operations',
            '',
            more.median_operations / less.median_operations,
            spread=comparisons.within(more.operations, less.operations),
        )
