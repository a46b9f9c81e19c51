# SPDX-License-Identifier: Apache-2.0
"""Nothing is destroyed before somebody has said yes."""

import argparse
import io
import sys

import pytest

from glance_rawstore import exceptions
from glance_rawstore.cli import asking


class Terminal(io.StringIO):
    def isatty(self):
        return True


def ask(monkeypatch, stdin, *argv):
    parser = argparse.ArgumentParser()
    asking.add_arguments(parser)
    monkeypatch.setattr(sys, 'stdin', stdin)
    asking.confirm(parser.parse_args(argv), 'Delete all?')


@pytest.mark.parametrize('answer', ['y', 'yes', 'Y', ' YES '])
def test_a_yes_goes_on(monkeypatch, capsys, answer):
    ask(monkeypatch, Terminal(f'{answer}\n'))

    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ('', 'Delete all? [y/N] ')


@pytest.mark.parametrize('answer', ['', '\n', 'n\n', 'no\n', 'yess\n', '1\n'])
def test_anything_else_is_a_no(monkeypatch, answer):
    with pytest.raises(exceptions.Declined, match='nothing was done'):
        ask(monkeypatch, Terminal(answer))


def test_where_nobody_can_be_asked_nothing_is_done(monkeypatch):
    with pytest.raises(exceptions.WrongUsage, match='--yes') as caught:
        ask(monkeypatch, io.StringIO('y\n'))

    assert caught.value.exit_code == 2


@pytest.mark.parametrize('option', ['--yes', '-y'])
def test_nobody_is_asked_who_has_said_yes(monkeypatch, capsys, option):
    ask(monkeypatch, io.StringIO(), option)

    assert capsys.readouterr() == ('', '')
