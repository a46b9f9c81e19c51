# SPDX-License-Identifier: Apache-2.0
"""The lifecycle: the names, and every state to derive."""

import pytest

from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.states import Status


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
