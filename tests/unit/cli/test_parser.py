# SPDX-License-Identifier: Apache-2.0
"""The command line: what it takes, what it says, how it ends."""

import io
import re
import sys
import uuid

import pytest

from glance_rawstore import cli
from glance_rawstore import exceptions
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output

COMMANDS = ('list', 'show', 'reap')
IMAGES = ('convert', 'evict', 'delete', 'protect', 'unprotect')


def ended(*argv):
    with pytest.raises(SystemExit) as caught:
        cli.main(argv)
    return caught.value.code


@pytest.fixture
def wide(monkeypatch):
    monkeypatch.setenv('COLUMNS', '80')


@pytest.mark.usefixtures('wide')
def test_help_explains_states_commands_and_exit_status(capsys):
    assert ended('--help') == 0

    shown = capsys.readouterr().out
    for word in ('pending', 'active', 'pending_delete', *COMMANDS, *IMAGES):
        assert word in shown
    for code, meaning in exit_status.TABLE:
        assert f'{code:<3}  {meaning}' in shown
    assert all(len(line) < 80 for line in shown.splitlines())


@pytest.mark.usefixtures('wide')
@pytest.mark.parametrize('command', IMAGES)
def test_every_command_about_images_tells_how_to_name_them(capsys, command):
    assert ended(command, '--help') == 0

    shown = capsys.readouterr().out
    for word in ('IMAGE', '--from-file', '--all', '--property', '--dry-run'):
        assert word in shown


@pytest.mark.usefixtures('wide')
@pytest.mark.parametrize('command', COMMANDS)
def test_every_command_explains_itself_and_its_formats(capsys, command):
    assert ended(command, '--help') == 0

    shown = ' '.join(capsys.readouterr().out.split())
    assert shown.startswith(f'usage: glance-rawstore {command} ')
    assert '--format {text,json}' in shown
    assert 'sizes in bytes and ages in seconds' in shown
    assert 'table on a terminal and plain columns in a pipe' in shown


def test_the_examples_of_the_help_can_be_typed():
    examples = re.findall(
        r'^  glance-rawstore (.*?)  +\w', cli.parser().epilog, re.MULTILINE
    )

    assert len(examples) >= 3
    for line in examples:
        cli.parser().parse_args(line.split())


@pytest.mark.parametrize(
    'argv',
    [
        (),
        ('destroy',),
        ('show',),
        ('show', 'one', 'two'),
        ('list', 'one'),
        ('list', '--format', 'xml'),
        ('list', '--status', 'deleted'),
        ('list', '--status', 'queued'),
        ('reap', '--watch', '0'),
        ('reap', '--watch', '-1'),
        ('reap', '--watch', 'soon'),
        ('reap', '--watch', 'nan'),
        ('reap', '--watch', 'inf'),
        ('reap', '--watch', '1e300'),
        ('agent', '--metrics-port', '99999'),
        ('agent', '--metrics-port', '-1'),
        ('agent', '--metrics-port', 'http'),
    ],
)
def test_wrong_usage_ends_with_2_and_the_usage(capsys, argv):
    with pytest.raises(SystemExit) as caught:
        cli.parser().parse_args(argv)

    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith('usage: glance-rawstore')


def test_options_before_the_command_are_for_all():
    args = cli.parser().parse_args(
        ['--config-file=a', '--config-file=b', '--store=raw', 'list']
    )

    assert args.config_file == ['a', 'b']
    assert args.store == 'raw'
    assert args.debug is False


@pytest.mark.parametrize(
    ('argv', 'expected'),
    [
        (['reap'], None),
        (['reap', '--watch'], 10.0),
        (['reap', '--watch', '0.5'], 0.5),
    ],
)
def test_reaping_goes_on_when_it_is_told_to(argv, expected):
    assert cli.parser().parse_args(argv).watch == expected


def test_no_configuration_ends_with_4_and_one_line(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.setenv('HOME', str(tmp_path))

    status = cli.main([f'--config-file={tmp_path}/absent.conf', 'list'])

    shown = capsys.readouterr()
    assert status == exceptions.BadSetup.exit_code == 4
    assert shown.out == ''
    (line,) = shown.err.splitlines()
    assert line.startswith('glance-rawstore: The configuration cannot be read')


@pytest.mark.parametrize(
    'argv', [['show', str(uuid.uuid4())], ['status'], ['agent']]
)
def test_an_option_that_is_wrong_ends_with_4_and_one_line(
    command, tmp_path, argv
):
    path = tmp_path / 'glance-api.conf'
    wrong = (
        'raw_cache_budget_percent = x\n[glance_rawstore]\nretry_limit = x\n'
    )
    path.write_text(path.read_text() + wrong)

    status, out, err = command(*argv)

    assert (status, out) == (4, '')
    (line,) = err.splitlines()
    assert line.startswith('glance-rawstore: The configuration cannot be read')


@pytest.mark.parametrize(
    ('backends', 'argv', 'expected'),
    [
        ('ceph:rbd', ['list'], 'no store with the driver rawrbd'),
        ('', ['list'], 'no store with the driver rawrbd'),
        ('a:rawrbd,b:rawrbd', ['list'], 'Name one of the raw stores by'),
        ('a:rawrbd', ['--store=b', 'list'], 'by --store: a'),
        ('a:rawrbd,c:rbd', ['--store=c', 'list'], 'by --store: a'),
    ],
)
def test_a_wrong_configuration_says_what_to_change(
    capsys, tmp_path, backends, argv, expected
):
    path = tmp_path / 'glance-api.conf'
    path.write_text(f'[DEFAULT]\nenabled_backends = {backends}\n')

    assert cli.main([f'--config-file={path}', *argv]) == 4

    assert expected in capsys.readouterr().err


def test_debug_shows_where_an_error_comes_from(tmp_path):
    path = tmp_path / 'glance-api.conf'
    path.write_text('[DEFAULT]\nenabled_backends = ceph:rbd\n')

    with pytest.raises(exceptions.BadSetup):
        cli.main([f'--config-file={path}', '--debug', 'list'])


def test_who_reads_no_further_is_no_error(command, world, monkeypatch):
    world.copy()

    def broken(*args, **kwargs):
        raise BrokenPipeError

    monkeypatch.setattr(output, 'print_rows', broken)
    monkeypatch.setattr(sys, 'stderr', io.StringIO())

    status, _, _ = command('list')

    assert status == 0
