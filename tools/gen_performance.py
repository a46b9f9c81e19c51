#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the tables of the page on performance from what was measured.

    tools/gen_performance.py            writes _generated/performance-*.inc
    tools/gen_performance.py --check    ends with 1 when one is stale

Everything comes from the latest result of each part in benchmarks/results.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / 'benchmarks/results'

import generated  # noqa: E402

_HEAD = generated.head('gen_performance.py')
_MIB = 1 << 20

Result = dict[str, Any]

# Median seconds of the same day, before this page was begun. No file was kept
# of them.
BEFORE = {
    'plain': {
        'floor': 1.2,
        'qemu-img, file': 1.5,
        'ours: image active': 7.1,
        'ours: raw active': 10.9,
    },
    'compressed': {
        'floor': 1.2,
        'qemu-img, file': 3.3,
        'ours: image active': 3.1,
        'ours: raw active': 8.7,
    },
}
IMPORTS = (
    *('floor', 'qemu-img', 'qemu-img, file', 'glance alone'),
    *('ours: image active', 'ours: raw active'),
    *('from staged: image active', 'from staged: raw active'),
)
SIZES = (
    *IMPORTS,
    *('image_conversion', 'volume: glance alone', 'volume: raw copy'),
)


def latest(part: str) -> Result | None:
    """The latest result of a part; None where there is none."""
    found = sorted(RESULTS.glob(f'20*-{part}.json'))
    return json.loads(found[-1].read_text()) if found else None


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of reStructuredText, with its first row as the head."""
    lines = ['.. list-table::', '   :header-rows: 1', '']
    for row in (headings, *rows):
        for number, cell in enumerate(row):
            mark = '*' if number == 0 else ' '
            lines.append(f'   {mark} - {cell}'.rstrip())
    return '\n'.join(lines) + '\n'


def where(result: Result) -> str:
    """When and on what it was measured."""
    facts = result['machine']
    return (
        '{date}, commit ``{glance_rawstore}``, {cpu}, {cores} cores, '
        '{memory_mib} MiB, Ceph {ceph}, QEMU {qemu}, Glance {glance}; load '
        'before {load}, after {load_after}'.format(**facts)
        + f'; rounds: {result["repeat"]}.\n'
    )


def _median(result: Result, image: str, row: str) -> float | None:
    for seconds in (result['seconds'], result['volume_seconds']):
        timed = seconds.get(image, {}).get(row)
        if timed:
            return float(timed['median'])
    return None


def _shown(seconds: float | None) -> str:
    return '' if seconds is None else f'{seconds:.2f}'


def imports(result: Result) -> str:
    """What it was before, and what it is."""
    names = list(BEFORE)
    headings = ['median seconds']
    for name in names:
        headings += [f'{name}: before', f'{name}: now']
    rows = []
    for row in IMPORTS:
        cells = [row]
        for name in names:
            cells.append(_shown(BEFORE[name].get(row)))
            cells.append(_shown(_median(result, name, row)))
        rows.append(cells)
    return table(headings, rows) + '\n' + where(result)


def sizes(result: Result) -> str:
    """Median seconds by size, or by whatever the images are."""
    images = list(result['images'])
    rows = [
        [row, *(_shown(_median(result, image, row)) for image in images)]
        for row in SIZES
    ]
    return (
        table(
            ['median seconds', *images],
            [row for row in rows if any(row[1:])],
        )
        + '\n'
        + where(result)
    )


def measured(result: Result) -> str:
    """What parts have measured, and how it compares."""
    rows = [
        [
            found['what'],
            found['image'],
            _value(found['value'], found['unit']),
            _bound(found),
        ]
        for found in result['comparisons']
    ]
    headings = ['', 'image', 'measured', 'to reach']
    return table(headings, rows) + '\n' + where(result)


def shares(result: Result) -> str:
    """What parts have measured, by image."""
    images = list(result['images'])
    rows: dict[str, dict[str, str]] = {}
    for found in result['measured']:
        shown = _shown(statistics.median(found['values']))
        rows.setdefault(found['what'], {})[found['image']] = shown
    lines = [
        [what, *(cells.get(image, '') for image in images)]
        for what, cells in rows.items()
    ]
    return table(['seconds', *images], lines) + '\n' + where(result)


def view(result: Result) -> str:
    """Medians with the filter and without it."""
    rows = []
    for what, taken in result['latency_seconds'].items():
        both = [taken[which]['median'] for which in ('with', 'without')]
        shown = [f'{seconds * 1000:.1f}' for seconds in both]
        rows.append([what, *shown, f'{both[0] / both[1]:.2f}'])
    headings = ['median milliseconds', 'raw view', 'none', 'ratio']
    return table(headings, rows) + '\n' + where(result)


def _value(value: float, unit: str) -> str:
    return f'{value / _MIB:.1f} MiB' if unit == 'bytes' else f'{value:.3f}'


def _bound(found: dict[str, Any]) -> str:
    bound = found.get('at_most')
    if bound is None:
        return ''
    mark = '' if found['met'] else ': **missed**'
    return f'at most {_value(bound, found["unit"])}{mark}'


WRITERS = {
    'imports': imports,
    'sizes': sizes,
    'large': sizes,
    'memory': measured,
    'stored': measured,
    'shares': shares,
    'view': view,
}


def pages() -> Iterator[tuple[str, str]]:
    """Names of files, and what is in them."""
    for part, write in WRITERS.items():
        result = latest(part)
        text = 'Not measured yet.\n' if result is None else write(result)
        yield f'performance-{part}.inc', f'{_HEAD}\n\n{text}'


if __name__ == '__main__':
    about = (__doc__ or '').splitlines()[0]
    sys.exit(
        max(
            generated.main('gen_performance.py', about, name, text)
            for name, text in pages()
        )
    )
