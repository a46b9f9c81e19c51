# SPDX-License-Identifier: Apache-2.0
"""Show how far raw copies are: bars on a terminal, lines in a pipe."""

import contextlib
from collections.abc import Iterator
from typing import TextIO

import humanize
from rich import console
from rich import progress
from rich.markup import escape

from glance_rawstoreclient.copies import Copy
from glance_rawstoreclient.copies import Outcome
from glance_rawstoreclient.waiting import Shown

#: Percents between two lines in a pipe.
_STEP = 10


def size(count: int) -> str:
    """Bytes for people: ``515.5 MiB``."""
    return str(humanize.naturalsize(count, binary=True, format='%.1f'))


def _last(copy: Copy, words: str) -> str:
    used = f', {size(copy.size)}' if copy.size is not None else ''
    return f'{copy.label}: {words}{used}'


class Lines:
    """One line for every step, on a stream that nobody watches."""

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._told: dict[str, str] = {}

    def update(self, copy: Copy, words: str) -> None:
        """Say how far it is, unless that was said already."""
        step = (copy.progress or 0) // _STEP * _STEP
        line = f'{copy.label}: {words}'
        if copy.progress is not None:
            line += f', {step}%'
        self._tell(copy, line)

    def trouble(self, copy: Copy, error: Exception) -> None:
        """Say so, once."""
        self._tell(copy, f'{copy.label}: {error}; trying again')

    def _tell(self, copy: Copy, line: str) -> None:
        if self._told.get(copy.image_id) != line:
            self._told[copy.image_id] = line
            print(line, file=self._err, flush=True)

    def end(self, copy: Copy, outcome: Outcome, words: str) -> None:
        """What became of it."""
        where = self._out if outcome is Outcome.READY else self._err
        print(_last(copy, words), file=where, flush=True)


class Bars:
    """A bar for each copy."""

    def __init__(self, bars: progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, progress.TaskID] = {}

    def _bar(self, copy: Copy) -> progress.TaskID:
        if copy.image_id not in self._tasks:
            self._tasks[copy.image_id] = self._bars.add_task(
                escape(copy.label), total=100, words=''
            )
        return self._tasks[copy.image_id]

    def update(self, copy: Copy, words: str) -> None:
        """Move the bar."""
        self._bars.update(
            self._bar(copy), completed=copy.progress or 0, words=words
        )

    def trouble(self, copy: Copy, error: Exception) -> None:
        """Say so beside the bar."""
        self._bars.update(self._bar(copy), words=escape(str(error)))

    def end(self, copy: Copy, outcome: Outcome, words: str) -> None:
        """What became of it, in place of its bar."""
        self._bars.update(self._bar(copy), visible=False)
        colour = 'green' if outcome is Outcome.READY else 'red'
        self._bars.console.print(
            _last(copy, words), style=colour, markup=False, highlight=False
        )


@contextlib.contextmanager
def shown(out: TextIO, err: TextIO) -> Iterator[Shown]:
    """Bars where somebody watches, else lines.

    :param out: for what is ready, in a pipe
    :param err: for everything else
    """
    if not err.isatty():
        yield Lines(out, err)
        return
    columns = (
        progress.TextColumn('{task.description}'),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeElapsedColumn(),
        progress.TextColumn('{task.fields[words]}'),
    )
    with progress.Progress(
        *columns, console=console.Console(file=err)
    ) as bars:
        yield Bars(bars)
