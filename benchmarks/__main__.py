# SPDX-License-Identifier: Apache-2.0
"""Time everybody in turn, print a table, and keep the result."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks import parts
from benchmarks import report
from benchmarks import results
from benchmarks import targets
from benchmarks.comparisons import Comparison

RESULTS = Path(__file__).with_name('results')

_START = time.monotonic()


def _say(text: str) -> None:
    print(f'{time.monotonic() - _START:6.0f} s  {text}', file=sys.stderr)


def _arguments(known: Mapping[str, parts.Part]) -> argparse.Namespace:
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
        help='time a Glance with convert_staged = always too',
    )
    parser.add_argument(
        '--only',
        choices=known,
        metavar='PART',
        help='; '.join(f'{part.name}: {part.says}' for part in known.values()),
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


def _measure(
    options: argparse.Namespace, chosen: Sequence[parts.Part]
) -> results.Result:
    result = results.Result(machine.facts(), options.repeat, [])
    # in the order of their first part, each once
    glances = dict.fromkeys(
        name for part in chosen for name in part.glances(options)
    )
    with parts.Run(options, result, tuple(glances), _say) as run:
        for part in chosen:
            part.measure(run)
        result.machine['load_after'] = machine.load()
    return result


def _write(
    result: results.Result,
    comparisons: list[Comparison],
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
        of = [options.only] if options.only else []
        path = RESULTS / f'{"-".join([day, cpu.strip("-"), *of])}.json'
        path.write_text(content)
        path.with_suffix('.txt').write_text(report.text(result, comparisons))
        _say(f'written to {path}')


def main() -> int:
    """Measure, write, print; the exit code is 0 whatever was reached."""
    known = parts.load()
    options = _arguments(known)
    chosen = [
        part
        for part in known.values()
        if part.name == options.only or (part.usual and not options.only)
    ]
    # so that everything is taken down
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    result = _measure(options, chosen)
    found = targets.compare(result)
    _write(result, found, options)
    report.print_all(result, found)
    return 0


if __name__ == '__main__':
    sys.exit(main())
