# SPDX-License-Identifier: Apache-2.0
"""How often copies were handed to consumers, kept where all nodes see it.

One object in the raw pool, :data:`OBJECT`, with an entry for each image in
its omap. Every worker of every node of the API adds what it has counted, a
batch at a time. None takes a lock for it: an entry is written only if it is
still what it was when it was read (:meth:`glance_rawstore.omap.Table.change`).
"""

from collections.abc import Mapping
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import omap
from glance_rawstore.lifecycle import uses
from glance_rawstore.lifecycle.uses import Count

#: Name of the object.
OBJECT = 'glance_rawstore.uses'

_ENTRIES = omap.Entries(OBJECT, uses.encode, uses.decode)
_TABLE = _ENTRIES.table

#: Images of which counts are written together; after a clash with another
#: writer all of them are read again.
BATCH = 100
#: Times that this is tried; each time somebody else has succeeded.
_TRIES = 50

read = _ENTRIES.read
read_all = _ENTRIES.read_all
forget = _ENTRIES.remove


def add(ioctx: Any, counts: Mapping[str, Count], half_life: float) -> None:
    """Add what was counted, by image: all of it or, with an error, nothing.

    But what the cluster did not answer to in time may have been added.

    :param counts: of :data:`BATCH` images at most
    :param half_life: seconds in which a use loses half of its weight
    :raises NoSpace: the pool is full, and these would be its first entries
    :raises CephUnavailable: the cluster does not answer, or others write all
        the time
    """
    for _ in range(_TRIES):
        before = _TABLE.read(ioctx, counts)
        known = {key: uses.decode(value) for key, value in before.items()}
        for image_id in [key for key, use in known.items() if use is None]:
            _TABLE.remove(ioctx, image_id)
            del before[image_id]
        after = {
            image_id: uses.encode(
                uses.added(known.get(image_id), count, half_life)
            )
            for image_id, count in counts.items()
        }
        if _TABLE.change(ioctx, before, after):
            return
    raise exceptions.CephUnavailable()
