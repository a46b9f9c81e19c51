# SPDX-License-Identifier: Apache-2.0
"""What the command line shows: on a terminal, in a pipe, to programs."""

import argparse
import collections
import contextlib
import dataclasses
import io
import json
import time

import pytest
from rich import console

from glance_rawstore.cli import output
from glance_rawstore.lifecycle.raw_copy import RawCopy
from glance_rawstore.lifecycle.states import Status

ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
COPY = RawCopy(
    image_id=ID,
    pool='images_raw',
    status=Status.ACTIVE,
    virtual_size=3 << 30,
    bytes_used=1536 << 20,
    children=('volumes/a', 'volumes/b'),
    created=1_000_000.0,
    rbd_name=f'{ID}_raw',
    rbd_id='abc123',
    source_format='qcow2',
)
ROWS = [('one', 'active', '3.0 GiB'), ('three', 'pending_delete', '-')]
HEADINGS = ('IMAGE', 'STATUS', 'USED')


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def shown(monkeypatch):
    """What a terminal of usual size shows of rows; it knows colours."""
    monkeypatch.setenv('TERM', 'xterm-256color')
    monkeypatch.setenv('COLUMNS', '120')
    for name in ('NO_COLOR', 'FORCE_COLOR', 'TTY_COMPATIBLE'):
        monkeypatch.delenv(name, raising=False)

    def show(headings, rows):
        with contextlib.redirect_stdout(Terminal()) as terminal:
            output.print_rows(headings, rows)
        return terminal.getvalue()

    return show


@pytest.fixture
def now(monkeypatch):
    """Two hours after the copy was made."""
    monkeypatch.setattr(time, 'time', lambda: COPY.created + 7200.4)


@pytest.mark.parametrize(
    ('count', 'expected'),
    [
        (None, '-'),
        (0, '0 Bytes'),
        (1, '1 Byte'),
        (1 << 20, '1.0 MiB'),
        (3 << 30, '3.0 GiB'),
        (5 << 40, '5.0 TiB'),
    ],
)
def test_sizes_for_people(count, expected):
    assert output.size(count) == expected


@pytest.mark.usefixtures('now')
def test_ages_for_people():
    assert output.age(COPY) == '2 hours'


@pytest.mark.usefixtures('now')
def test_a_copy_for_programs_has_units_in_its_names():
    assert output.as_dict(COPY) == {
        'image_id': ID,
        'status': 'active',
        'virtual_size_bytes': 3 << 30,
        'bytes_used': 1536 << 20,
        'children': ['volumes/a', 'volumes/b'],
        'age_seconds': 7200,
        'pool': 'images_raw',
        'rbd_image': f'{ID}_raw',
        'rbd_id': 'abc123',
        'source_format': 'qcow2',
        'making': None,
        'damaged': None,
    }


@pytest.mark.usefixtures('now')
def test_what_is_not_known_is_null_and_not_none_at_all():
    copy = dataclasses.replace(
        COPY, bytes_used=None, children=None, source_format=None
    )

    found = output.as_dict(copy)

    assert found['bytes_used'] is None
    assert found['children'] is None
    assert (
        output.as_dict(dataclasses.replace(COPY, children=()))['children']
        == []
    )


def test_json_can_be_parsed(capsys):
    output.print_json([output.as_dict(COPY)])

    assert json.loads(capsys.readouterr().out)[0]['image_id'] == ID


def test_a_pipe_gets_plain_columns(capsys):
    output.print_rows(HEADINGS, ROWS)

    assert capsys.readouterr().out == (
        'IMAGE  STATUS          USED\n'
        'one    active          3.0 GiB\n'
        'three  pending_delete  -\n'
    )


def test_a_pipe_gets_the_headings_of_an_empty_list(capsys):
    output.print_rows(HEADINGS, [])

    assert capsys.readouterr().out == 'IMAGE  STATUS  USED\n'


def test_a_terminal_gets_a_table_in_colours(shown):
    text = shown(HEADINGS, ROWS)

    assert '\x1b[32mactive' in text
    assert '\x1b[31mpending_delete' in text
    assert 'IMAGE' in text
    assert '───' in text


@pytest.mark.parametrize('name', ['a[red]b', 'a[/]b', '[link=x]y', r'a\[b'])
def test_a_terminal_gets_names_as_they_are(shown, name):
    """Ceph allows brackets in the name of an image, such as a clone."""
    assert name in shown(('FIELD', 'VALUE'), [('clones', name)])


@pytest.mark.parametrize('count', [1, 3])
def test_a_pipe_gets_every_row_on_one_line(capsys, count):
    output.print_rows(HEADINGS, [('x' * 200, 'active', '-')] * count)

    assert len(capsys.readouterr().out.splitlines()) == 1 + count


@pytest.mark.parametrize(
    ('given', 'expected'),
    [([], 'text'), (['--format=text'], 'text'), (['--format=json'], 'json')],
)
def test_the_form_is_chosen(given, expected):
    parser = argparse.ArgumentParser()
    output.add_format(parser)

    assert parser.parse_args(given).format == expected


LONG = ('IMAGE', 'STATUS', 'AGE')
LINE = (ID, 'pending_delete', '23 minutes')


@pytest.mark.parametrize('columns', [20, 60])
def test_a_narrow_terminal_loses_nothing(shown, monkeypatch, columns):
    """A table lost the ends of ids, and columns, at 80."""
    monkeypatch.setenv('COLUMNS', str(columns))

    out = shown(LONG, [LINE])

    assert out.splitlines()[1].split('  ') == list(LINE)
    assert '\x1b' not in out


@pytest.mark.parametrize('columns', [20, 60, 80, 200])
def test_what_changes_on_a_narrow_terminal_loses_nothing(columns):
    screen = console.Console(width=columns, file=io.StringIO())

    screen.print(output.Fitting(LONG, [LINE]))

    told = collections.Counter(screen.file.getvalue())
    for each in ' \n─':
        del told[each]
    assert told == collections.Counter(
        ''.join((*LONG, *LINE)).replace(' ', '')
    )
