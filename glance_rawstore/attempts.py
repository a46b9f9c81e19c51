# SPDX-License-Identifier: Apache-2.0
"""Attempts at copies, kept where every node sees them: in the raw pool.

One object, :data:`OBJECT`, with an entry for each image in its omap. Entries
are few, those of images whose copy could not be made, and they are gone with
the copy or the image. Who makes a copy has the lease on it, so that an entry
has one writer.
"""

from collections.abc import Iterable
from typing import Any

from glance_rawstore import omap
from glance_rawstore.lifecycle import attempts
from glance_rawstore.lifecycle.attempts import Attempts

#: Name of the object.
OBJECT = 'glance_rawstore.attempts'

_TABLE = omap.Table(OBJECT)


def read(ioctx: Any, image_id: str) -> Attempts | None:
    """What is known of the attempts at one image.

    :raises CephUnavailable: the cluster does not answer
    """
    return read_some(ioctx, [image_id]).get(image_id)


def read_some(ioctx: Any, image_ids: Iterable[str]) -> dict[str, Attempts]:
    """What is known of the attempts at these images, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    return _decoded(_TABLE.read(ioctx, image_ids))


def read_all(ioctx: Any) -> dict[str, Attempts]:
    """What is known of the attempts at all images, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    return _decoded(_TABLE.read_all(ioctx))


def _decoded(entries: dict[str, bytes]) -> dict[str, Attempts]:
    """Entries as they were written; what cannot be read is left out."""
    decoded = ((k, attempts.decode(value)) for k, value in entries.items())
    return {key: value for key, value in decoded if value is not None}


def write(ioctx: Any, image_id: str, value: Attempts) -> None:
    """Keep what is known of the attempts at one image.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.write(ioctx, image_id, attempts.encode(value))


def forget(ioctx: Any, image_id: str) -> None:
    """Remove what is known of one image; accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.remove(ioctx, image_id)
