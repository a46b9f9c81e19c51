# SPDX-License-Identifier: Apache-2.0
"""Hand a conversion over, when its process ends, to whoever has time for it.

One object in the raw pool, :data:`OBJECT`. Agents that are there hold a
shared lock on it, with a duration, so that one which is heard of no more is
not counted. In its omap is what was handed over: image and task, or no task
where a consumer has asked for an evicted copy. What is done of a copy lies
with its ``.part``, as ever.
"""

import logging
import uuid
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import lease
from glance_rawstore import omap

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.handover'

_ENTRIES = omap.Entries(OBJECT, str.encode, omap.text)
_LOCK = 'glance_rawstore.agents'
_TAG = 'agents'
# LIBRADOS_LOCK_FLAG_MAY_RENEW in librados.h: take it, or renew what is ours.
_MAY_RENEW = 1
#: Seconds after which an agent that is not heard of is taken for gone.
DURATION = 30


def attended(ioctx: Any) -> bool:
    """Whether there is an agent that takes what is handed over.

    :raises CephUnavailable: the cluster does not answer
    """
    return agents(ioctx) > 0


def agents(ioctx: Any) -> int:
    """How many agents are there, on any node.

    :raises CephUnavailable: the cluster does not answer
    """
    return lease.holders(ioctx, OBJECT, _LOCK)


def ask(ioctx: Any, image_id: str) -> None:
    """Have an evicted copy made again, soon; nobody has a task for it yet.

    :raises NoSpace: the pool is full
    :raises CephUnavailable: the cluster does not answer
    """
    # Unless there is a task: what is not there compares as empty.
    _ENTRIES.table.change(ioctx, {}, {image_id: b''})


#: Hand the conversion of an image over, with its task.
offer = _ENTRIES.write
#: The task of a conversion that was handed over, or None; it is empty for one
#: that nobody has begun.
offered = _ENTRIES.read
#: All that was handed over and not taken yet: tasks by image.
all_offered = _ENTRIES.read_all
#: Note that it was taken, or is of no use.
take = _ENTRIES.remove


class Presence:
    """An agent's being there; is forgotten :data:`DURATION` seconds later.

    :param ioctx: open ``rados.Ioctx`` of the raw pool
    """

    def __init__(self, ioctx: Any) -> None:
        self._ioctx = ioctx
        self._cookie = str(uuid.uuid4())

    def show(self) -> None:
        """Be there for another :data:`DURATION` seconds.

        :raises CephUnavailable: the cluster does not answer
        """
        with ceph.translated():
            self._ioctx.lock_shared(
                OBJECT,
                _LOCK,
                self._cookie,
                _TAG,
                'glance-rawstore agent',
                DURATION,
                _MAY_RENEW,
            )

    def leave(self) -> None:
        """Be there no more; accepts "already gone"."""
        try:
            self._ioctx.unlock(OBJECT, _LOCK, self._cookie)
        except ceph.rados.Error as exc:
            LOG.debug('The agent was not known to be there: %s', exc)
