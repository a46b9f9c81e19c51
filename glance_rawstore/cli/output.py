# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal, plain text for a pipe, JSON for programs."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

import humanize
from rich import box
from rich import console
from rich import measure
from rich import table
from rich import text

from glance_rawstore import wording
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.budget import Budget

#: Columns that are more than any terminal has.
_WIDE = 10000
_COLOURS = {'active': 'green', 'pending': 'yellow', 'pending_delete': 'red'}


def add_format(parser: argparse.ArgumentParser) -> None:
    """Add the option that chooses the form of output."""
    parser.add_argument(
        '--format',
        choices=('text', 'json'),
        default='text',
        help='text is a table on a terminal and plain columns in a pipe; '
        'json has sizes in bytes and ages in seconds (default: text)',
    )


def size(count: int | None) -> str:
    """Bytes for people, or a dash when not known."""
    if count is None:
        return '-'
    return wording.size(count)


def age(copy: raw_copy.RawCopy) -> str:
    """How old a copy is, for people."""
    if copy.created is None:
        return '-'
    return str(humanize.naturaldelta(time.time() - copy.created))


def figures(copy: raw_copy.RawCopy) -> tuple[str, ...]:
    """Virtual size, bytes used, clones and age of a copy, for people."""
    return (
        size(copy.virtual_size),
        size(copy.bytes_used),
        copy.clones,
        age(copy),
    )


def as_dict(copy: raw_copy.RawCopy) -> dict[str, Any]:
    """A copy for a program; the names carry the units."""
    children = copy.children
    created, making = copy.created, copy.making
    return {
        'image_id': copy.image_id,
        'status': str(copy.status),
        'virtual_size_bytes': copy.virtual_size,
        'bytes_used': copy.bytes_used,
        'children': None if children is None else list(children),
        'age_seconds': None
        if created is None
        else round(time.time() - created),
        'pool': copy.pool,
        'rbd_image': copy.rbd_name,
        'rbd_id': copy.rbd_id,
        'source_format': copy.source_format,
        'making': None if making is None else dataclasses.asdict(making),
        'damaged': copy.damaged or None,
    }


def print_json(value: Any) -> None:
    """Print a value as JSON, indented."""
    print(json.dumps(value, indent=2))


def print_rows(headings: Sequence[str], rows: list[Sequence[str]]) -> None:
    """Print rows as a table, or as plain columns; whatever is in them.

    Plain where nobody looks, and where a terminal is too narrow: then it
    wraps the lines itself, whereas a table would lose the ends of ids.
    """
    rows = [[wording.printable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        screen = console.Console()
        shown = table_of(headings, rows)
        if _width(screen, shown) <= screen.width:
            screen.print(shown)
            return
    lines = [headings, *rows]
    widths = [
        max(len(line[i]) for line in lines) for i in range(len(headings))
    ]
    for line in lines:
        cells = (c.ljust(w) for c, w in zip(line, widths, strict=True))
        print('  '.join(cells).rstrip())


def budget(found: Budget | None) -> dict[str, Any] | None:
    """A budget for a program, if there is one; the names carry the units."""
    if found is None or found.limit is None:
        return None
    return {
        'limit_bytes': found.limit,
        'high_watermark_bytes': found.high,
        'low_watermark_bytes': found.low,
        'used_bytes': found.used,
        'reserved_bytes': found.reserved,
    }


def _width(screen: console.Console, shown: table.Table) -> int:
    """Columns that a table needs at least to lose nothing."""
    wide = screen.options.update(width=_WIDE)
    return measure.Measurement.get(screen, wide, shown).minimum


class Fitting:
    """Rows as a table that is as wide as its terminal, whatever that is.

    Where there is not enough room all cells are folded.
    """

    def __init__(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        self._headings = headings
        self._rows = rows

    def __rich_console__(
        self, screen: console.Console, options: console.ConsoleOptions
    ) -> console.RenderResult:
        """As :mod:`rich` asks for it."""
        shown = table_of(self._headings, self._rows)
        narrow = _width(screen, shown) > options.max_width
        for column in shown.columns:
            column.no_wrap = column.no_wrap and not narrow
        yield shown


def table_of(
    headings: Sequence[str], rows: Sequence[Sequence[str]]
) -> table.Table:
    """Rows as a table for a terminal that is wide enough."""
    shown = table.Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in headings:
        right = heading in ('VIRTUAL', 'USED', 'CLONES', 'DONE', 'SECONDS')
        shown.add_column(
            heading,
            justify='right' if right else 'left',
            overflow='fold',
            no_wrap=heading not in ('AGE', 'VALUE', 'MESSAGE'),
        )
    for row in rows:
        # Text, since a name may hold what rich takes for markup.
        shown.add_row(*(text.Text(c, _COLOURS.get(c, '')) for c in row))
    return shown
