#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draw the lifecycle of a raw copy from its table of moves.

    tools/gen_states.py            writes doc/source/_generated/lifecycle.inc
    tools/gen_states.py --check    ends with 1 when that file is stale

Everything comes from glance_rawstore/lifecycle/states.py, so the page cannot
say what the code does not do.
"""

import itertools
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import generated  # noqa: E402

from glance_rawstore.lifecycle import states  # noqa: E402
from glance_rawstore.lifecycle.states import Status  # noqa: E402

#: States in the order of the picture, which is that of a life.
ORDER = (Status.DELETED, *(s for s in Status if s is not Status.DELETED))

_HEAD = generated.head('gen_states.py')
#: Characters from one state to the next; the longest name and a space.
_STEP = max(len(status) for status in Status) + 1
_WHAT_LIES_THERE = ('part', 'final', 'trashed')


def _moves() -> list[tuple[int, Status, Status, str]]:
    """(number, from, to, reason) of each move, in the order of the table."""
    return [
        (number, current, wanted, why)
        for number, ((current, wanted), why) in enumerate(
            states.MOVES.items(), start=1
        )
    ]


def _line(marks: dict[int, str]) -> str:
    """One line of the picture: a bar for each state, and these marks."""
    line = [' '] * (_STEP * (len(ORDER) - 1) + 1)
    for place in range(len(ORDER)):
        line[place * _STEP] = '|'
    for place, text in marks.items():
        line[place : place + len(text)] = text
    return ''.join(line).rstrip()


def _arrow(number: int, current: Status, wanted: Status) -> str:
    start, end = (ORDER.index(s) * _STEP for s in (current, wanted))
    left, length = min(start, end) + 1, abs(end - start) - 1
    shaft = f' {number} '.center(length - 1, '-')
    return _line({left: f'{shaft}>' if end > start else f'<{shaft}'})


def picture() -> list[str]:
    """The moves as arrows between the states, time going down."""
    heads = ''.join(str(status).ljust(_STEP) for status in ORDER).rstrip()
    arrows = [_arrow(n, current, to) for n, current, to, _ in _moves()]
    return ['::', '', *(f'    {text}' for text in (heads, *arrows))]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A simple table of reStructuredText."""
    lines = [tuple(heads), *(tuple(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    rule = '  '.join('=' * width for width in widths)
    text = [
        '  '.join(
            cell.ljust(width) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]
    return [rule, text[0], rule, *text[1:], rule]


def table_of_moves() -> list[str]:
    """Every allowed move with its reason."""
    return _table(
        ('Move', 'From', 'To', 'Reason'),
        (
            (str(number), f'``{current}``', f'``{to}``', why)
            for number, current, to, why in _moves()
        ),
    )


def derivation() -> list[str]:
    """The state for everything that may lie in the raw pool."""
    rows = []
    for present in itertools.product((False, True), repeat=3):
        facts = dict(zip(_WHAT_LIES_THERE, present, strict=True))
        marks = ('yes' if there else 'no' for there in present)
        rows.append((*marks, f'``{states.derive(**facts)}``'))
    heads = ('``_raw.part``', '``_raw``', 'in the trash', 'State')
    return _table(heads, rows)


def page() -> str:
    """All of the generated part of the page."""
    parts: tuple[tuple[str, list[str]], ...] = (
        ('', picture()),
        ('', table_of_moves()),
        ('What lies in the pool, and the state', derivation()),
    )
    lines = [_HEAD]
    for title, part in parts:
        lines += ['', *([title, '-' * len(title), ''] if title else []), *part]
    return '\n'.join(lines) + '\n'


if __name__ == '__main__':
    about = (__doc__ or '').splitlines()[0]
    sys.exit(generated.main('gen_states.py', about, 'lifecycle.inc', page()))
