# SPDX-License-Identifier: Apache-2.0
"""The lifecycle: every move there could be, and every state to derive."""

import itertools

import pytest

from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.states import Status

# From the row's state to the column's: "move" is work to do, "stay" is none,
# "-" is forbidden.
MATRIX = """
                pending  active  pending_delete  deleted
pending         stay     move    -               move
active          -        stay    move            move
pending_delete  -        -       stay            move
deleted         move     -       -               stay
"""


def matrix():
    """(from, to, outcome) for each cell."""
    head, *rows = MATRIX.strip().splitlines()
    for row in rows:
        current, *cells = row.split()
        for wanted, outcome in zip(head.split(), cells, strict=True):
            yield Status(current), Status(wanted), outcome


@pytest.mark.parametrize(('current', 'wanted', 'outcome'), list(matrix()))
def test_a_move_is_allowed_ignored_or_forbidden(current, wanted, outcome):
    if outcome == '-':
        with pytest.raises(states.ForbiddenMove, match=f'{current} to'):
            states.check_move(current, wanted)
    else:
        assert states.check_move(current, wanted) is (outcome == 'move')


def test_the_matrix_has_every_pair_of_states():
    cells = {(current, wanted) for current, wanted, _ in matrix()}

    assert cells == set(itertools.product(Status, Status))


def test_every_move_has_its_reason():
    assert all(states.MOVES.values())


def test_the_names_are_those_of_the_design():
    """They are on locations in Glance's database: they cannot change."""
    assert [str(status) for status in Status] == [
        'pending',
        'active',
        'pending_delete',
        'deleted',
    ]


@pytest.mark.parametrize(
    ('part', 'final', 'trashed', 'expected'),
    [
        (False, False, False, Status.DELETED),
        (False, False, True, Status.PENDING_DELETE),
        (False, True, False, Status.ACTIVE),
        (False, True, True, Status.ACTIVE),
        (True, False, False, Status.PENDING),
        (True, False, True, Status.PENDING),
        (True, True, False, Status.ACTIVE),
        (True, True, True, Status.ACTIVE),
    ],
)
def test_the_state_is_derived_from_what_lies_there(
    part, final, trashed, expected
):
    found = states.derive(part=part, final=final, trashed=trashed)

    assert found is expected
