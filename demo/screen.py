# SPDX-License-Identifier: Apache-2.0
"""What is seen: colours and moving bars on a terminal, plain text in a pipe.

Nothing but this module decides how things look.
"""

from __future__ import annotations

import contextlib
import itertools
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Literal

from rich import box
from rich import console
from rich import progress
from rich import table
from rich import text

#: Columns of running text, and of a command's output where no terminal is.
WIDTH = 79
_WIDE = 120
#: Columns by which a command is set off, and further by which its output is.
_MARGIN = 2
_INDENT = 4


class Screen:
    """Where the demo tells its story."""

    def __init__(self, steps: int) -> None:
        """Begin with nothing told.

        :param steps: how many there will be
        """
        self._console = console.Console(highlight=False, emoji=False)
        self._steps = steps
        self._step = 0
        self._last = ''
        self.is_terminal = self._console.is_terminal
        signs = self._console.encoding.startswith('utf')
        self._done = '✓' if self.is_terminal and signs else 'ok:'

    @property
    def room(self) -> int:
        """Columns that the output of a command has."""
        width = self._console.width if self.is_terminal else _WIDE
        return max(WIDTH, width) - _INDENT

    def line(self, line: str = '', style: str = '') -> None:
        """Print one line as it is, however long."""
        self._console.print(text.Text(line, style), soft_wrap=True)

    def _turn(self, kind: str, joined: tuple[str, ...]) -> None:
        """Set a part off by an empty line.

        :param joined: the kinds of parts that it follows without one
        """
        if self._last not in joined:
            self.line()
        self._last = kind

    def say(self, words: str, indent: int = 0, style: str = '') -> None:
        """Print running text."""
        self._turn('prose', ('heading',))
        filled = textwrap.fill(
            ' '.join(words.split()),
            width=min(WIDTH, self._console.width),
            initial_indent=' ' * indent,
            subsequent_indent=' ' * indent,
            break_on_hyphens=False,
            break_long_words=False,
        )
        self.line(filled, style)

    # The story ------------------------------------------------------------

    def title(self, words: str) -> None:
        """Print what all this is."""
        self.line(words, 'bold')
        self.line('=' * len(words), 'bold')
        self._last = 'heading'

    def step(self, words: str) -> None:
        """Print the heading of the next step."""
        self._step += 1
        heading = f'{self._step}. {words}'
        self._turn('heading', ())
        self.line(heading, 'bold magenta')
        self.line('-' * len(heading), 'magenta')

    @property
    def where(self) -> str:
        """The step that the story has come to."""
        return f'step {self._step} of {self._steps}'

    def command(self, user: str, command: str) -> None:
        """Print a command, with who types it."""
        self._turn('command', ())
        first, *others = command.splitlines()
        lead = text.Text(' ' * _MARGIN + f'{user} $ ', 'green')
        lead.append(first, 'bold cyan')
        for other in others:
            lead.append('\n' + ' ' * _MARGIN + other, 'bold cyan')
        self._console.print(lead, soft_wrap=True)

    def output(self, line: str) -> None:
        """Print a line that was written elsewhere, in its own colours."""
        self._turn('output', ('command', 'output'))
        shown = text.Text.from_ansi(' ' * _INDENT + line.rstrip())
        self._console.print(shown, soft_wrap=True)

    def long_output(self, line: str, hang: int) -> None:
        """Print a line of words; what there is no room for hangs below it.

        :param hang: columns by which that is set off
        """
        for part in textwrap.wrap(
            line, self.room, subsequent_indent=' ' * hang
        ):
            self.output(part)

    def checked(self, words: str) -> None:
        """Print what was made sure of."""
        self._turn('check', ('check',))
        shown = textwrap.fill(
            words,
            width=min(WIDTH, self._console.width) - _MARGIN,
            subsequent_indent=' ' * (len(self._done) + 1),
            initial_indent=f'{self._done} ',
            break_on_hyphens=False,
        )
        self.line(textwrap.indent(shown, ' ' * _MARGIN), 'green')

    def note(self, words: str) -> None:
        """Print what did not take place, and why."""
        self.say(words, _MARGIN, 'yellow')

    def failure(self, words: str) -> None:
        """Print what went wrong; it may be many lines."""
        self._turn('prose', ())
        self.line(words, 'bold red')

    # Waiting --------------------------------------------------------------

    @contextlib.contextmanager
    def working(self, words: str) -> Iterator[None]:
        """Show that something is under way, and then how long it took."""
        self._turn('wait', ('wait',))
        began = time.monotonic()
        if self.is_terminal:
            with self._bar('spinner') as bar:
                bar.add_task(words, total=None)
                yield
        else:
            yield
        seconds = time.monotonic() - began
        left = f'  {words} '.ljust(WIDTH - 12, '.')
        self.line(f'{left} {seconds:7.1f} s')

    @contextlib.contextmanager
    def bar(self) -> Iterator[Bar]:
        """Show a bar below the lines that are printed meanwhile."""
        if not self.is_terminal:
            yield Bar(None)
            return
        with self._bar('bar') as shown:
            yield Bar(shown)

    def _bar(self, kind: str) -> progress.Progress:
        parts: dict[str, progress.ProgressColumn] = {
            'spinner': progress.SpinnerColumn(),
            'bar': progress.BarColumn(20),
        }
        return progress.Progress(
            progress.TextColumn(' '),
            parts[kind],
            progress.TextColumn('{task.description}'),
            progress.TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )

    # The end --------------------------------------------------------------

    def table(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Print a table whose second column is of numbers."""
        self._table(headings, rows, ('left', 'right'))

    def side_by_side(
        self, headings: Sequence[str], rows: Sequence[Sequence[str]]
    ) -> None:
        """Print a table of things to compare; a cell may be many lines."""
        self._table(headings, rows, ['left'] * len(headings))

    def _table(
        self,
        headings: Sequence[str],
        rows: Sequence[Sequence[str]],
        sides: Sequence[Literal['left', 'right']],
    ) -> None:
        self._turn('table', ('heading',))
        if self.is_terminal:
            shown = table.Table(
                box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
            )
            for heading, side in zip(headings, sides, strict=True):
                shown.add_column(heading, justify=side, overflow='fold')
            for row in rows:
                shown.add_row(*map(text.Text, row))
            self._console.print(shown)
            return
        for line in _plain_table(headings, rows, sides):
            self.line(f'  {line}'.rstrip())


def _plain_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    sides: Sequence[str],
) -> Iterator[str]:
    lines = [
        line
        for row in rows
        for line in itertools.zip_longest(
            *(cell.split('\n') for cell in row), fillvalue=''
        )
    ]
    widths = [
        max(map(len, column)) for column in zip(headings, *lines, strict=True)
    ]
    rules = ['-' * width for width in widths]
    for line in (headings, rules, *lines):
        yield '  '.join(
            cell.rjust(width) if side == 'right' else cell.ljust(width)
            for cell, width, side in zip(line, widths, sides, strict=True)
        )


class Bar:
    """A bar that moves, or nothing where nobody would see it."""

    def __init__(self, shown: progress.Progress | None) -> None:
        self._shown = shown
        self._task = (
            None if shown is None else shown.add_task('waiting', total=1.0)
        )

    def update(self, done: float, words: str) -> None:
        """Move it; `done` is 0.0 to 1.0."""
        if self._shown is not None and self._task is not None:
            self._shown.update(
                self._task, completed=done, description=words, refresh=True
            )
