# SPDX-License-Identifier: Apache-2.0
"""Progress of several things: bars on a terminal, lines in a pipe."""

import contextlib
import sys
from collections.abc import Iterator
from typing import Protocol

from rich import progress
from rich import text

#: Percents between two lines in a pipe.
_STEP = 25


class Shown(Protocol):
    """Where progress is shown."""

    def update(self, name: str, percent: int | None, message: str) -> None:
        """Tell how far one thing is; None where that is not known yet."""

    def end(self, name: str) -> None:
        """It has ended: show it no more."""


class Nothing:
    """For programs, which get the outcome."""

    def update(self, name: str, percent: int | None, message: str) -> None:
        """Show nothing."""

    def end(self, name: str) -> None:
        """Show nothing."""


class Lines:
    """A line at the begin, and for each quarter."""

    def __init__(self) -> None:
        self._told: dict[str, int] = {}

    def update(self, name: str, percent: int | None, message: str) -> None:
        """Print a line, if it is news."""
        step = -1 if percent is None else percent // _STEP
        if step > self._told.get(name, -2):
            self._told[name] = step
            done = '-' if percent is None else f'{percent}%'
            print(f'{done:>16}  {name}  {message}'.rstrip(), flush=True)

    def end(self, name: str) -> None:
        """It is told by who knows how."""


class Bars:
    """A bar for each.

    :param bars: where they are
    """

    def __init__(self, bars: progress.Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, progress.TaskID] = {}

    def update(self, name: str, percent: int | None, message: str) -> None:
        """Set one."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=None)
        self._bars.update(
            self._tasks[name],
            completed=percent or 0,
            total=None if percent is None else 100,
            message=text.Text(message, overflow='ellipsis', no_wrap=True),
        )

    def end(self, name: str) -> None:
        """Take one away."""
        if name in self._tasks:
            self._bars.remove_task(self._tasks.pop(name))


class _Message(progress.ProgressColumn):
    """The message beside a bar."""

    def render(self, task: progress.Task) -> text.Text:
        """As it is: a message may hold what rich takes for markup."""
        found = task.fields.get('message')
        return found if isinstance(found, text.Text) else text.Text('')


#: What a line of a terminal shows.
COLUMNS = (
    progress.TextColumn('{task.description}', markup=False),
    progress.BarColumn(20),
    progress.TaskProgressColumn(),
    _Message(),
)


@contextlib.contextmanager
def shown(form: str) -> Iterator[Shown]:
    """What fits who looks.

    Lines that are printed meanwhile go above the bars.

    :param form: text or json
    """
    if form == 'json':
        yield Nothing()
    elif not sys.stdout.isatty():
        yield Lines()
    else:
        with progress.Progress(*COLUMNS, transient=True) as bars:
            yield Bars(bars)
