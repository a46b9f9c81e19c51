# SPDX-License-Identifier: Apache-2.0
"""The list of copies as it changes: live on a terminal, else look by look."""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from rich import console
from rich import live
from rich import progress_bar
from rich import table
from rich import text

from glance_rawstore import exceptions
from glance_rawstore.cli import output
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.raw_copy import RawCopy
from glance_rawstore.lifecycle.states import Status

_HEADINGS = ('IMAGE', 'STATUS', 'DONE', 'VIRTUAL', 'USED', 'CLONES', 'AGE')
_ORDER = (Status.PENDING, Status.ACTIVE, Status.PENDING_DELETE)
_BAR = 40


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen at one look.

    :param budget: None where it has no limit
    """

    copies: Sequence[RawCopy]
    budget: Budget | None


def watch(
    args: argparse.Namespace, interval: float, look: Callable[[], Seen]
) -> None:
    """Show what is seen, again and again; ends by being interrupted.

    :param interval: seconds between two looks
    """
    if args.format == 'json':
        _every(interval, look, lambda seen: print(_line(seen), flush=True))
    elif not sys.stdout.isatty():
        _every(interval, look, _News())
    else:
        with live.Live(auto_refresh=False, screen=False) as shown:
            _every(
                interval,
                look,
                lambda seen: shown.update(_picture(seen), refresh=True),
            )


def _every(
    interval: float, look: Callable[[], Seen], show: Callable[[Seen], None]
) -> None:
    while True:
        try:
            show(look())
        except exceptions.CephUnavailable as exc:
            print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)
        time.sleep(interval)


def budget_text(budget: Budget) -> str:
    """A budget in a line."""
    if budget.limit is None:
        return f'{output.size(budget.taken)} used, no budget'
    said = f'{output.size(budget.used)} used'
    if budget.reserved:
        said += f' and {output.size(budget.reserved)} reserved'
    part = 100 * budget.taken / budget.limit if budget.limit else 100
    return (
        f'{said} of a budget of {output.size(budget.limit)} ({part:.0f}%); '
        f'eviction from {output.size(budget.high)} down to '
        f'{output.size(budget.low)}'
    )


def _rows(seen: Seen) -> list[tuple[str, ...]]:
    ordered = sorted(
        seen.copies, key=lambda c: (_ORDER.index(c.status), c.created or 0)
    )
    return [_row(copy) for copy in ordered]


def _row(copy: RawCopy) -> tuple[str, ...]:
    making = copy.making
    done = '' if making is None else f'{making.progress or 0}%'
    return (copy.image_id, str(copy.status), done, *output.figures(copy))


class _News:
    """The whole list whenever it is another one, below the time."""

    def __init__(self) -> None:
        self._told: Any = None

    def __call__(self, seen: Seen) -> None:
        rows = _rows(seen)
        # All but the age, which always changes.
        news = [row[:-1] for row in rows], seen.budget
        if news == self._told:
            return
        self._told = news
        now = time.strftime('%Y-%m-%d %H:%M:%S%z')
        print(f'{now}  {_sum(seen)}')
        output.print_rows(_HEADINGS, list(rows))
        print(flush=True)


def _sum(seen: Seen) -> str:
    if seen.budget is not None:
        return budget_text(seen.budget)
    used = sum(copy.bytes_used or 0 for copy in seen.copies)
    return f'{output.size(used)} used'


def _line(seen: Seen) -> str:
    return json.dumps(
        {
            'at': round(time.time(), 3),
            'budget': output.budget(seen.budget),
            'copies': [output.as_dict(copy) for copy in seen.copies],
        }
    )


def _picture(seen: Seen) -> console.Group:
    rows = output.Fitting(_HEADINGS, _rows(seen))
    return console.Group(*_bar(seen), rows)


def _bar(seen: Seen) -> list[console.RenderableType]:
    budget = seen.budget
    if budget is None or budget.limit is None:
        return [text.Text(_sum(seen))]
    over = budget.taken > budget.high
    bar = progress_bar.ProgressBar(
        total=max(budget.limit, 1),
        completed=min(budget.taken, budget.limit),
        width=_BAR,
        complete_style='red' if over else 'green',
        finished_style='red',
    )
    grid = table.Table.grid(padding=(0, 1))
    grid.add_row(bar, text.Text(budget_text(budget)))
    return [grid]
