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


#: Every move that a copy makes, with its reason. Nothing comes back from the
#: trash: a copy wanted again is made anew. tests/unit/lifecycle/test_moves.py
#: holds the moves of :mod:`glance_rawstore.raw_pool` to it.
MOVES: dict[tuple[Status, Status], str] = {
    (Status.DELETED, Status.PENDING): 'a copy is wanted: .part is created',
    (Status.PENDING, Status.ACTIVE): 'snapshot, protect, rename: committed',
    (Status.PENDING, Status.DELETED): 'conversion given up or cancelled',
    (Status.PENDING, Status.PENDING_DELETE): 'the same, in use: trashed',
    (Status.ACTIVE, Status.PENDING_DELETE): 'unwanted with clones: trashed',
    (Status.ACTIVE, Status.DELETED): 'unwanted without clones: removed',
    (Status.PENDING_DELETE, Status.DELETED): 'the last user is gone: reaped',
}


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
