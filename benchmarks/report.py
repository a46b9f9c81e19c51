# SPDX-License-Identifier: Apache-2.0
"""Tables: rich on a terminal, plain in a pipe and in a file."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence

from rich import box
from rich import console
from rich import table

from benchmarks.comparisons import Comparison
from benchmarks.evictions import BELADY
from benchmarks.evictions import BELADY_SIZES
from benchmarks.evictions import Ratio
from benchmarks.images import MIB
from benchmarks.latency import Latency
from benchmarks.passes import Passes
from benchmarks.results import Measured
from benchmarks.results import Result
from benchmarks.results import Timing

VERDICTS = {True: 'met', False: 'NOT met', None: '-'}
COLOURS = {'met': 'green', 'NOT met': 'bold red'}

Row = Sequence[str]

TIMES = ('SECONDS', 'IMAGE', 'MEDIAN', 'MIN', 'MAX', 'MIB/S')
LATENCIES = ('MILLISECONDS', 'WHO', 'RAW VIEW', 'NONE', 'REQUESTS')
PASSES = ('PASS', 'COPIES', 'SECONDS', 'OPERATIONS')
MEMORY = ('AGENT', 'COPIES', 'MEMORY')
EVICTIONS = (
    *('POLICY', 'CLONES LIVE', 'BUDGET', 'HITS', 'OF BELADY', 'BYTES'),
    *('EVICTED', 'NO ROOM'),
)
MEASURED = ('MEASURED', 'WITH', 'MEDIAN', 'MIN', 'MAX', 'UNIT')
RATIOS = ('COMPARISON', 'IMAGE', 'VALUE', 'ROUNDS', 'TARGET', 'VERDICT')


def print_all(result: Result, comparisons: list[Comparison]) -> None:
    """Print machine, times and comparisons."""
    if not sys.stdout.isatty():
        print(text(result, comparisons), end='')
        return
    out = console.Console()
    out.print(_machine(result), highlight=False)
    for headings, rows in _tables(result, comparisons):
        out.print(_rich(headings, rows))


def text(result: Result, comparisons: list[Comparison]) -> str:
    """Return the same as plain text."""
    parts = [_machine(result)]
    for headings, rows in _tables(result, comparisons):
        parts.append(_plain(headings, rows))
    return '\n\n'.join(parts) + '\n'


def _tables(
    result: Result, comparisons: list[Comparison]
) -> list[tuple[Row, list[Row]]]:
    tables = [
        (TIMES, _times(result)),
        (LATENCIES, [_latency(found) for found in result.latencies]),
        (PASSES, [_pass(found) for found in result.agents.passes]),
        (MEMORY, _memory_of_agents(result)),
        (EVICTIONS, _evictions(result.evictions)),
        (MEASURED, [_measured(found) for found in result.measured]),
        (RATIOS, [_comparison(found) for found in comparisons]),
    ]
    return [(headings, rows) for headings, rows in tables if rows]


def _machine(result: Result) -> str:
    facts = result.machine
    lines = [
        '{date}, commit {glance_rawstore}',
        '{cpu}, {cores} cores, {memory_mib} MiB, kernel {kernel}',
        'Ceph {ceph}, QEMU {qemu}, Glance {glance}, '
        'glance_store {glance_store}, Python {python}',
        'load before {load}, after {load_after}; '
        f'{result.repeat} rounds, of which the median counts',
    ]
    lines = [line.format(**facts) for line in lines]
    for image in result.images:
        lines.append(
            f'{image.name}: {image.data // MIB} MiB of data in '
            f'{image.virtual // MIB} MiB, file {image.size // MIB} MiB'
        )
    return '\n'.join(lines)


def _times(result: Result) -> list[Row]:
    sizes = {image.name: image.data for image in result.images}
    rows = [
        (*_timing(timing), f'{sizes[timing.image] / MIB / timing.median:.0f}')
        for timing in sorted(result.timings, key=lambda t: t.image != 'plain')
    ]
    for what, seconds in result.clones.items():
        name = result.images[0].name
        rows.append((f'clone: {what}', name, f'{seconds:.3f}', '', '', ''))
    rows += [(*_timing(timing), '') for timing in result.volumes]
    return list(rows)


def _timing(timing: Timing) -> tuple[str, str, str, str, str]:
    return (
        timing.row,
        timing.image,
        f'{timing.median:.2f}',
        f'{min(timing.seconds):.2f}',
        f'{max(timing.seconds):.2f}',
    )


def _latency(found: Latency) -> Row:
    medians = [
        f'{statistics.median(taken) * 1000:.1f}'
        for taken in (found.with_filter, found.without)
    ]
    return (found.what, found.who, *medians, str(len(found.without)))


def _evictions(ratios: Sequence[Ratio]) -> list[Row]:
    """Percents; of Belady is of the better one of his two rules."""
    best: dict[tuple[str, int], float] = {}
    for found in ratios:
        if found.policy in (BELADY, BELADY_SIZES):
            key = found.clones, found.budget
            best[key] = max(found.hits, best.get(key, 0.0))
    return [
        (
            found.policy,
            found.clones,
            f'{found.budget} %',
            f'{found.hits:.1%}',
            f'{found.hits / best[found.clones, found.budget]:.0%}',
            '' if found.bytes is None else f'{found.bytes:.1%}',
            '' if found.evictions is None else str(found.evictions),
            '' if found.refused is None else str(found.refused),
        )
        for found in ratios
    ]


def _pass(found: Passes) -> Row:
    return (
        found.what,
        str(found.copies),
        f'{found.median:.2f}',
        f'{found.median_operations:.0f}',
    )


def _memory_of_agents(result: Result) -> list[Row]:
    return [
        ('all of its processes', str(copies), _value(size, 'bytes'))
        for copies, size in result.agents.memory.items()
    ]


def _measured(found: Measured) -> Row:
    values = (found.median, min(found.values), max(found.values))
    if found.unit == 'bytes':
        cells = [f'{value / MIB:.1f}' for value in values]
        return (found.what, found.image, *cells, 'MiB')
    cells = [f'{value:.2f}' for value in values]
    return (found.what, found.image, *cells, found.unit)


def _comparison(found: Comparison) -> Row:
    spread = found.spread
    target = '-'
    if found.at_most is not None:
        target = f'<= {_value(found.at_most, found.unit)}'
    elif found.at_least is not None:
        target = f'>= {_value(found.at_least, found.unit)}'
    return (
        found.what,
        found.image,
        _value(found.value, found.unit),
        f'{spread[0]:.2f}-{spread[1]:.2f}' if spread else '',
        target,
        VERDICTS[found.met],
    )


def _value(value: float, unit: str) -> str:
    return f'{value / MIB:.1f} MiB' if unit == 'bytes' else f'{value:.2f}'


def _plain(headings: Row, rows: list[Row]) -> str:
    lines = [headings, *rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return '\n'.join(
        '  '.join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(
                zip(line, widths, strict=True)
            )
        ).rstrip()
        for line in lines
    )


def _rich(headings: Row, rows: list[Row]) -> table.Table:
    shown = table.Table(box=box.SIMPLE_HEAD)
    for number, heading in enumerate(headings):
        shown.add_column(heading, justify='left' if number < 2 else 'right')
    for row in rows:
        coloured = (
            f'[{COLOURS[cell]}]{cell}[/]' if cell in COLOURS else cell
            for cell in row
        )
        shown.add_row(*coloured)
    return shown
