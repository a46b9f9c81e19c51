# SPDX-License-Identifier: Apache-2.0
"""The parts that are always done, unless one is chosen."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from benchmarks import bed
from benchmarks import clones
from benchmarks import contestants
from benchmarks import evictions
from benchmarks import footprint
from benchmarks import images
from benchmarks import latency
from benchmarks import parts
from benchmarks import passes
from benchmarks import results
from benchmarks import volumes
from benchmarks.contestants import Contestant

# The first imports of a worker load half of its code.
WARM_UP = 3
# of the images of the warm-up, in bytes
SMALL = 16 * images.MIB


def _importing(options: argparse.Namespace) -> Sequence[str]:
    more = [bed.THIN] * options.thin + [bed.STAGED] * options.staged
    usual = (bed.OURS, bed.ALONE) if options.quick else bed.USUAL
    return (*usual, *more)


def _two(_options: argparse.Namespace) -> Sequence[str]:
    return (bed.OURS, bed.ALONE)


@parts.part(
    'eviction', 'hits of each policy, a simulation of two minutes', usual=True
)
def _eviction(run: parts.Run) -> None:
    run.result.evictions = evictions.measure(run.say)


def warm_up(run: parts.Run) -> None:
    """Let everybody do it with a small image, until they know how."""
    stage = run.stage
    run.say('warming up')
    small = images.make(run.directory, SMALL)[0]
    for _ in range(WARM_UP):
        for contestant in contestants.of(stage):
            stage.settle()
            contestant(stage, small)


@parts.part(
    'imports',
    'raw copies, what they cost, and their clones',
    usual=True,
    glances=_importing,
)
def _imports(run: parts.Run) -> None:
    timed = run.images
    warm_up(run)
    for number in range(run.result.repeat):
        for image in timed:
            _round(run, number, image)
    if not run.options.quick:
        _costs(run)


def _round(run: parts.Run, number: int, image: images.Image) -> None:
    """Time everybody; each round begins with another."""
    everybody = contestants.of(run.stage)
    first = number % len(everybody)
    for contestant in everybody[first:] + everybody[:first]:
        turn(run, contestant, image, number)


def turn(
    run: parts.Run, contestant: Contestant, image: images.Image, number: int
) -> None:
    """Let one of them do it, and keep the times.

    :param number: of the round, from 0
    """
    run.stage.settle()
    seconds = contestant(run.stage, image)
    run.result.add(image, seconds)
    for row, taken in seconds.items():
        run.say(
            f'round {number + 1} of {run.result.repeat}, '
            f'{image.name}: {row} {taken:.2f} s'
        )


def _costs(run: parts.Run) -> None:
    stage, result = run.stage, run.result
    for image in result.images:
        for who in (bed.ALONE, bed.OURS, bed.CONVERSION):
            run.say(f'what an import costs, {image.name}: {who}')
            stage.settle()
            result.footprints.append(footprint.measure(stage, who, image))
    stage.settle()
    run.say('clones')
    result.clones = clones.measure(stage, result.images[0])


@parts.part(
    'volumes',
    'those that Cinder makes of them',
    usual=True,
    glances=_two,
)
def _volumes(run: parts.Run) -> None:
    for image in run.images:
        make_volumes(run, image, volumes.COUNT, warm_ups=1)


def make_volumes(
    run: parts.Run, image: images.Image, count: int, warm_ups: int
) -> None:
    """Have Cinder make volumes of an image, and keep the times.

    :param count: of volumes, as ``warm_ups``: see :func:`volumes.measure`
    """
    run.stage.settle()
    run.say(f'volumes by Cinder, {image.name}')
    made = volumes.measure(run.stage, image, run.say, count, warm_ups)
    for row, seconds in made.items():
        timing = results.Timing(row, image.name, tuple(seconds))
        run.result.volumes.append(timing)


@parts.part(
    'view', 'how long Glance takes to answer with the raw view', usual=True
)
def _view(run: parts.Run) -> None:
    run.result.latencies = latency.measure(run.stage, run.say)


@parts.part('agent', 'what its passes cost', usual=True)
def _agent(run: parts.Run) -> None:
    run.result.agents = passes.measure(run.stage, run.say)
