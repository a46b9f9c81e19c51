# SPDX-License-Identifier: Apache-2.0
"""Progress: bars on a terminal, some lines in a pipe, nothing for programs."""

import io
import re

import pytest
from rich import console
from rich import progress as rich_progress

from glance_rawstore.cli import progress


def test_a_pipe_gets_a_line_at_the_begin_and_for_each_quarter(capsys):
    with progress.shown('text') as shown:
        for percent in (None, None, 0, 3, 24, 25, 60, 99, 100, 100):
            shown.update('one', percent, f'at {percent}')
        shown.update('two', 50, 'of two')
        shown.end('one')

    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[0] for line in lines] == [
        *('-', '0%', '25%', '60%', '99%', '100%', '50%')
    ]
    assert lines[-1] == ['50%', 'two', 'of', 'two']


def test_progress_that_goes_back_is_no_news(capsys):
    lines = progress.Lines()

    lines.update('one', 60, '')
    lines.update('one', 10, 'begun anew')

    assert capsys.readouterr().out.count('\n') == 1


def test_a_program_gets_nothing(capsys):
    with progress.shown('json') as shown:
        shown.update('one', 5, 'x')
        shown.end('one')

    assert capsys.readouterr().out == ''


@pytest.fixture
def screen():
    """Bars on a terminal, and what it shows."""
    file = io.StringIO()
    terminal = console.Console(file=file, force_terminal=True, width=100)
    bars = rich_progress.Progress(
        *progress.COLUMNS, console=terminal, auto_refresh=False
    )

    def text():
        terminal.print(bars.get_renderable())
        return re.sub(r'\x1b\[[0-9;?]*[a-zA-Z]', '', file.getvalue())

    return progress.Bars(bars), text


def test_a_terminal_gets_a_bar_with_what_is_said(screen):
    bars, text = screen

    bars.update('one', None, 'Waiting.')
    bars.update('two', 42, 'Converting [red] to raw')

    shown = text()
    assert 'Waiting.' in shown
    assert re.search(r'two .* 42% Converting \[red\] to raw', shown)


def test_what_has_ended_has_no_bar_any_more(screen):
    bars, text = screen
    bars.update('one', 42, 'Converting')

    bars.end('one')
    bars.end('one')

    assert 'one' not in text()
