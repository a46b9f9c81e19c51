# SPDX-License-Identifier: Apache-2.0
"""What can be done about one image. Core."""

import dataclasses
import enum


class Kind(enum.StrEnum):
    """What can be done. In the order in which it is done."""

    REAP = 'reap'
    COMMIT = 'finish commit'
    CLEAR_PART = 'clear dead part'
    PUT_LOCATION = 'put location'
    REMOVE_LOCATION = 'remove location'
    DELETE = 'delete copy'
    EVICT = 'finish eviction'
    RELIEVE = 'evict copy'
    SUCCEED_TASK = 'close task'
    FAIL_TASK = 'fail task'
    FORGET = 'forget attempts'
    TAKE = 'forget handover'
    FORGET_EVICTION = 'forget eviction'
    FORGET_USES = 'forget uses'
    FORGET_ORDER = 'forget order'
    CONVERT = 'make copy'


@dataclasses.dataclass(frozen=True)
class Action:
    """One thing to do.

    :param reason: for the operator
    :param target: the RBD image's internal id, or the task's id; of a copy
        to make, the task to continue, if there is one
    """

    kind: Kind
    image_id: str
    reason: str
    target: str = ''
