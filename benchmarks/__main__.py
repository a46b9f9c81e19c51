# SPDX-License-Identifier: Apache-2.0
"""Time everybody in turn, print a table, and keep the result."""

from __future__ import annotations

import argparse
import contextlib
import re
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import bed
from benchmarks import clones
from benchmarks import contestants
from benchmarks import evictions
from benchmarks import footprint
from benchmarks import images
from benchmarks import latency
from benchmarks import machine
from benchmarks import passes
from benchmarks import report
from benchmarks import results
from benchmarks import targets
from benchmarks import volumes

RESULTS = Path(__file__).with_name('results')

# The first imports of a worker load half of its code.
WARM_UP = 3
# of the images of the warm-up, in bytes
SMALL = 16 * images.MIB

_PARTS = ('imports', 'volumes', 'view', 'agent', 'eviction')

_START = time.monotonic()


def _say(text: str) -> None:
    print(f'{time.monotonic() - _START:6.0f} s  {text}', file=sys.stderr)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m benchmarks',
        description='Times raw copies on a throw-away Ceph and Glance. '
        'Takes about 12 minutes and 3 for each round, and 10 GiB of disk. '
        'Nothing else should run meanwhile.',
    )
    parser.add_argument(
        '--repeat', type=int, default=3, help='rounds (default: 3)'
    )
    parser.add_argument(
        '--data',
        type=int,
        default=1024,
        metavar='MIB',
        help='guest data in an image, in MiB; the disk is four times as '
        'large (default: 1024)',
    )
    parser.add_argument(
        '--images',
        type=Path,
        metavar='DIR',
        help='keep the images there for the next time',
    )
    parser.add_argument(
        '--thin',
        action='store_true',
        help='time image_conversion with rbd_thin_provisioning too',
    )
    parser.add_argument(
        '--quick',
        action='store_true',
        help='leave out image_conversion, what imports cost, and clones',
    )
    parser.add_argument(
        '--staged',
        action='store_true',
        help='time a Glance with convert_staged = true too',
    )
    parser.add_argument(
        '--only',
        choices=_PARTS,
        help='imports: raw copies, what they cost, and their clones; '
        'volumes: those that Cinder makes of them; view: how long Glance '
        'takes to answer with the raw view; agent: what its passes cost; '
        'eviction: hits of each policy, a simulation of two minutes',
    )
    parser.add_argument(
        '--json', type=Path, metavar='FILE', help='write the result there'
    )
    parser.add_argument(
        '--commit-result',
        action='store_true',
        help='write the result to benchmarks/results, by date, processor, '
        'and what it was limited to',
    )
    parser.add_argument(
        '--log',
        type=Path,
        metavar='FILE',
        help="write our Glance's log there, in detail, which slows it",
    )
    return parser.parse_args()


def _rounds(stage: bed.Bed, result: results.Result) -> None:
    """Time everybody; each round begins with another."""
    everybody = contestants.of(stage)
    for number in range(result.repeat):
        first = number % len(everybody)
        for image in result.images:
            for contestant in everybody[first:] + everybody[:first]:
                stage.settle()
                seconds = contestant(stage, image)
                result.add(image, seconds)
                for row, taken in seconds.items():
                    _say(
                        f'round {number + 1} of {result.repeat}, '
                        f'{image.name}: {row} {taken:.2f} s'
                    )


def _warm_up(stage: bed.Bed, directory: Path) -> None:
    small = images.make(directory, SMALL)[0]
    for _ in range(WARM_UP):
        for contestant in contestants.of(stage):
            stage.settle()
            contestant(stage, small)


def _costs(stage: bed.Bed, result: results.Result) -> None:
    for image in result.images:
        for who in (bed.ALONE, bed.OURS, bed.CONVERSION):
            _say(f'what an import costs, {image.name}: {who}')
            stage.settle()
            result.footprints.append(footprint.measure(stage, who, image))
    stage.settle()
    _say('clones')
    result.clones = clones.measure(stage, result.images[0])


def _volumes(stage: bed.Bed, result: results.Result) -> None:
    for image in result.images:
        stage.settle()
        _say(f'volumes by Cinder, {image.name}')
        for row, seconds in volumes.measure(stage, image, _say).items():
            timing = results.Timing(row, image.name, tuple(seconds))
            result.volumes.append(timing)


def _measure(options: argparse.Namespace) -> results.Result:
    with contextlib.ExitStack() as stack:
        facts = machine.facts()
        parts = [options.only] if options.only else _PARTS
        directory = options.images or Path(
            stack.enter_context(tempfile.TemporaryDirectory())
        )
        directory.mkdir(parents=True, exist_ok=True)
        result = results.Result(facts, options.repeat, [])
        if {'imports', 'volumes'}.intersection(parts):
            _say('making images')
            result.images = images.make(directory, options.data * images.MIB)
        if 'eviction' in parts:
            result.evictions = evictions.measure(_say)
        if list(parts) == ['eviction']:
            facts['load_after'] = machine.load()
            return result
        _say('starting Ceph, Keystone and Glances')
        stage = stack.enter_context(
            bed.Bed(_glances(parts, options), debug=options.log is not None)
        )
        if options.log:
            stack.callback(_keep_log, stage, options.log)
        if 'imports' in parts:
            _say('warming up')
            _warm_up(stage, directory)
            _rounds(stage, result)
            if not options.quick:
                _costs(stage, result)
        if 'volumes' in parts:
            _volumes(stage, result)
        if 'view' in parts:
            result.latencies = latency.measure(stage, _say)
        if 'agent' in parts:
            result.agents = passes.measure(stage, _say)
        facts['load_after'] = machine.load()
        return result


def _glances(
    parts: Sequence[str], options: argparse.Namespace
) -> tuple[str, ...]:
    """Those that take part; the raw view and the agent have their own."""
    if 'imports' in parts:
        more = [bed.THIN] * options.thin + [bed.STAGED] * options.staged
        usual = (bed.OURS, bed.ALONE) if options.quick else bed.USUAL
        return (*usual, *more)
    return (bed.OURS, bed.ALONE) if 'volumes' in parts else ()


def _keep_log(stage: bed.Bed, path: Path) -> None:
    if bed.OURS in stage.clouds:
        path.write_text(stage.clouds[bed.OURS].log())


def _write(
    result: results.Result,
    comparisons: list[targets.Comparison],
    options: argparse.Namespace,
) -> None:
    content = results.dump(
        {
            **result.as_dict(),
            'comparisons': [found.as_dict() for found in comparisons],
        }
    )
    if options.json:
        options.json.write_text(content)
    if options.commit_result:
        RESULTS.mkdir(exist_ok=True)
        cpu = re.sub(r'[^a-z0-9]+', '-', result.machine['cpu'].lower())
        day = result.machine['date'][:10]
        parts = [
            day,
            cpu.strip('-'),
            *([options.only] if options.only else []),
        ]
        path = RESULTS / f'{"-".join(parts)}.json'
        path.write_text(content)
        path.with_suffix('.txt').write_text(report.text(result, comparisons))
        _say(f'written to {path}')


def main() -> int:
    """Measure, write, print; the exit code is 0 whatever was reached."""
    options = _arguments()
    # so that everything is taken down
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    result = _measure(options)
    comparisons = targets.compare(result)
    _write(result, comparisons, options)
    report.print_all(result, comparisons)
    return 0


if __name__ == '__main__':
    sys.exit(main())
