# SPDX-License-Identifier: Apache-2.0
"""Several images: what became of each, the sum, and the exit status."""

import json

import pytest

from glance_rawstore import exceptions
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import outcomes
from glance_rawstore.cli.outcomes import Outcome

ONE, TWO = (f'00000000-0000-0000-0000-00000000000{n}' for n in '12')


def do(image_id):
    if image_id == TWO:
        raise exceptions.CephUnavailable()
    return Outcome(image_id, 'deleted', facts={'freed_bytes': 5})


def test_an_error_with_one_does_not_keep_the_others(capsys):
    told = outcomes.Outcomes('text')

    told.each([TWO, 'x', ONE], do)

    assert told.end() == exit_status.FAILED
    assert capsys.readouterr().out.splitlines() == [
        f'failed            {TWO}  The storage cluster did not answer or '
        'refused.',
        "not found         x  'x' is not the id of an image.",
        f'deleted           {ONE}',
        '1 failed, 1 not found, 1 deleted',
    ]


def test_what_is_no_id_does_nothing_to_the_terminal(capsys):
    told = outcomes.Outcomes('text')

    told.each(['\x1b[2Jx'], do)

    assert '\x1b' not in capsys.readouterr().out


def test_a_program_gets_all_at_the_end(capsys):
    told = outcomes.Outcomes('json')

    told.each([ONE, 'x'], do)

    assert capsys.readouterr().out == ''
    assert told.end() == exit_status.NOT_FOUND
    assert json.loads(capsys.readouterr().out) == [
        {
            'image_id': ONE,
            'outcome': 'deleted',
            'reason': '',
            'freed_bytes': 5,
        },
        {
            'image_id': 'x',
            'outcome': 'not found',
            'reason': "'x' is not the id of an image.",
        },
    ]


def test_one_image_needs_no_sum_and_none_is_told_as_such(capsys):
    told = outcomes.Outcomes('text')
    told.each([ONE], do)
    assert told.end() == exit_status.DONE
    assert capsys.readouterr().out == f'deleted           {ONE}\n'

    assert outcomes.Outcomes('text').end() == exit_status.DONE
    assert capsys.readouterr().out == 'nothing to do\n'


def test_what_nobody_expected_is_named_and_keeps_nobody_else(capsys):
    def broken(image_id):
        raise ZeroDivisionError('x')

    told = outcomes.Outcomes('text')
    told.each([ONE], broken)

    assert told.end() == exit_status.FAILED
    assert 'ZeroDivisionError: x' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('found', 'expected'),
    [
        (set(), 0),
        ({0}, 0),
        ({0, 3}, 3),
        ({1, 3}, 1),
        ({0, 1}, 1),
        ({0, 1, 3, 5}, 5),
    ],
)
def test_the_worst_decides_how_a_command_ends(found, expected):
    assert exit_status.worst(found) == expected


def test_every_error_ends_as_the_table_says():
    codes = {code for code, _ in exit_status.TABLE}
    errors = [exceptions.RawStoreError]
    for error in errors:
        errors += error.__subclasses__()

    assert {error.exit_code for error in errors} <= codes
