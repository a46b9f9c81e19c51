# SPDX-License-Identifier: Apache-2.0
"""Which copies were evicted, kept where every node sees it: in the raw pool.

One object, :data:`OBJECT`, with an entry in its omap for each image whose
copy was evicted, until there is one again, or none is wished for any more.

Beside them lie the traces of all copies that have gone lately, whatever made
them go: whoever looks for a copy in vain reads both at once.
"""

from typing import Any

from glance_rawstore import omap
from glance_rawstore.lifecycle import evicted
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.shown import KEPT
from glance_rawstore.lifecycle.shown import Gone

#: Name of the object.
OBJECT = 'glance_rawstore.evicted'

#: By image; a trace can't be read as an eviction, so it is left out.
_ENTRIES = omap.Entries(OBJECT, evicted.encode, evicted.decode)
_TABLE = _ENTRIES.table
#: What the keys of traces begin with.
_GONE = 'gone/'

read = _ENTRIES.read
read_some = _ENTRIES.read_some
read_all = _ENTRIES.read_all
#: Note that an image's copy is evicted; before anything is done to it.
note = _ENTRIES.write
#: Have the copy made again as if it had never been evicted.
forget = _ENTRIES.remove
#: Have room for notes even when the pool is full.
prepare = _TABLE.create


def leave_trace(ioctx: Any, image_id: str, now: float) -> None:
    """Leave a trace of a copy that goes, before anything is done to it.

    :param now: seconds since the epoch
    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.write(ioctx, f'{_GONE}{image_id}', f'{now:.6f}'.encode())


def read_why(
    ioctx: Any, image_id: str, now: float
) -> tuple[Evicted | None, Gone | None]:
    """Why an image has no copy: was it evicted, and has it gone lately?

    :param now: seconds since the epoch
    :returns: its eviction, and the trace of the last copy that has gone
    :raises CephUnavailable: the cluster does not answer
    """
    trace = f'{_GONE}{image_id}'
    found = _TABLE.read(ioctx, (image_id, trace))
    gone = _gone(found[trace], now) if trace in found else None
    return evicted.decode(found.get(image_id, b'')), gone


def _gone(value: bytes, now: float) -> Gone | None:
    """Read a trace; None for one that is too old, or something else."""
    try:
        gone = Gone(value.decode(), now - float(value))
    except ValueError:
        return None
    return gone if gone.age <= KEPT else None


def forget_traces(ioctx: Any, now: float) -> int:
    """Remove the old traces; how many these were.

    :param now: seconds since the epoch
    :raises CephUnavailable: the cluster does not answer
    """
    return _TABLE.remove_where(
        ioctx,
        lambda key, value: key.startswith(_GONE) and _gone(value, now) is None,
    )
