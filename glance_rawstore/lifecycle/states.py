# SPDX-License-Identifier: Apache-2.0
"""The states of a raw copy, and the table of moves between them.

The state is never stored: it is derived from what lies in the raw pool.
"""

import enum


class Status(enum.StrEnum):
    """Status of one raw copy, as written on its location."""

    PENDING = 'pending'
    ACTIVE = 'active'
    PENDING_DELETE = 'pending_delete'
    DELETED = 'deleted'


class ForbiddenMove(ValueError):
    """The table has no such move."""


#: Every allowed move with its reason. Asking for the present state is
#: ignored; all else is forbidden.
MOVES: dict[tuple[Status, Status], str] = {
    (Status.DELETED, Status.PENDING): 'a copy is wanted: .part is created',
    (Status.PENDING, Status.ACTIVE): 'snapshot, protect, rename: committed',
    (Status.PENDING, Status.DELETED): 'conversion given up or cancelled',
    (Status.ACTIVE, Status.PENDING_DELETE): 'unwanted with clones: trashed',
    (Status.ACTIVE, Status.DELETED): 'unwanted without clones: removed',
    (Status.PENDING_DELETE, Status.DELETED): 'the last clone is gone: reaped',
}


def check_move(current: Status, wanted: Status) -> bool:
    """Say whether going from one state to another is work to do.

    :returns: True for a move of the table, False when already there
    :raises ForbiddenMove: for anything else; nothing comes back from the
        trash, a copy wanted again is made anew
    """
    if current == wanted:
        return False
    if (current, wanted) in MOVES:
        return True
    raise ForbiddenMove(f'a raw copy cannot go from {current} to {wanted}')


def derive(*, part: bool, final: bool, trashed: bool) -> Status:
    """Derive the state from what lies in the raw pool.

    :param part: ``<image_id>_raw.part`` exists
    :param final: ``<image_id>_raw`` exists; as the rename is the last step
        of the commit, it has its protected snapshot
    :param trashed: one of them is in the RBD trash
    """
    if final:
        return Status.ACTIVE
    if part:
        return Status.PENDING
    if trashed:
        return Status.PENDING_DELETE
    return Status.DELETED
