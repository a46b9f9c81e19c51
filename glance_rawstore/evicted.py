# SPDX-License-Identifier: Apache-2.0
"""Which copies were evicted, kept where every node sees it: in the raw pool.

One object, :data:`OBJECT`, with an entry in its omap for each image whose
copy was evicted, until there is one again, or none is wished for any more.

Beside them lie the traces of all copies that have gone lately, whatever made
them go: whoever looks for a copy in vain reads both at once.
"""

from collections.abc import Iterable
from typing import Any

from glance_rawstore import omap
from glance_rawstore.lifecycle import evicted
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.shown import KEPT
from glance_rawstore.lifecycle.shown import Gone

#: Name of the object.
OBJECT = 'glance_rawstore.evicted'

_TABLE = omap.Table(OBJECT)
#: What the keys of traces begin with; the others are ids of images.
_GONE = 'gone/'


def read(ioctx: Any, image_id: str) -> Evicted | None:
    """The eviction of one image's copy, or None.

    :raises CephUnavailable: the cluster does not answer
    """
    return read_some(ioctx, (image_id,)).get(image_id)


def read_some(ioctx: Any, image_ids: Iterable[str]) -> dict[str, Evicted]:
    """The evictions of these images' copies, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    return _decoded(_TABLE.read(ioctx, image_ids))


def read_all(ioctx: Any) -> dict[str, Evicted]:
    """Every eviction that is noted, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    return _decoded(_TABLE.read_all(ioctx))


def _decoded(entries: dict[str, bytes]) -> dict[str, Evicted]:
    """Evictions as they were written; what cannot be read is left out."""
    decoded = (
        (key, evicted.decode(value))
        for key, value in entries.items()
        if not key.startswith(_GONE)
    )
    return {key: value for key, value in decoded if value is not None}


def prepare(ioctx: Any) -> None:
    """Have room for notes even when the pool is full.

    :raises NoSpace: the pool is full, and there was never one
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.create(ioctx)


def note(ioctx: Any, image_id: str, value: Evicted) -> None:
    """Note that an image's copy is evicted; before anything is done to it.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.write(ioctx, image_id, evicted.encode(value))


def forget(ioctx: Any, image_id: str) -> None:
    """Have the copy made again as if it had never been evicted.

    Accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.remove(ioctx, image_id)


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
    return _decoded(found).get(image_id), gone


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
