# SPDX-License-Identifier: Apache-2.0
"""Which copies were evicted, kept where every node sees it: in the raw pool.

One object, :data:`OBJECT`, with an entry in its omap for each image whose
copy was evicted, until there is one again, or none is wished for any more.
"""

from collections.abc import Iterable
from typing import Any

from glance_rawstore import omap
from glance_rawstore.lifecycle import evicted
from glance_rawstore.lifecycle.evicted import Evicted

#: Name of the object.
OBJECT = 'glance_rawstore.evicted'

_TABLE = omap.Table(OBJECT)


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
    """Entries as they were written; what cannot be read is left out."""
    decoded = ((k, evicted.decode(value)) for k, value in entries.items())
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
