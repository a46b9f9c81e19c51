# SPDX-License-Identifier: Apache-2.0
"""Attempts at copies, kept where every node sees them: in the raw pool.

One object, :data:`OBJECT`, with an entry for each image in its omap. Entries
are few, those of images whose copy could not be made, and they are gone with
the copy or the image. Who makes a copy has the lease on it, so that an entry
has one writer.
"""

import logging
from collections.abc import Iterable
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import attempts
from glance_rawstore.lifecycle.attempts import Attempts

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.attempts'

#: Entries read at once.
_PAGE = 1000


def read(ioctx: Any, image_id: str) -> Attempts | None:
    """What is known of the attempts at one image.

    :raises CephUnavailable: the cluster does not answer
    """
    return read_some(ioctx, [image_id]).get(image_id)


def read_some(ioctx: Any, image_ids: Iterable[str]) -> dict[str, Attempts]:
    """What is known of the attempts at these images, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    try:
        found = ceph.read_omap(ioctx, OBJECT, image_ids)
    except exceptions.NotFound:
        return {}
    return _decoded(found.items())


def read_all(ioctx: Any) -> dict[str, Attempts]:
    """What is known of the attempts at all images, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    found: dict[str, Attempts] = {}
    start = ''
    while page := _page(ioctx, start):
        start = page[-1][0]
        found |= _decoded(page)
    return found


def _decoded(entries: Iterable[tuple[str, bytes]]) -> dict[str, Attempts]:
    """Entries as they were written; what cannot be read is left out."""
    decoded = ((key, attempts.decode(value)) for key, value in entries)
    return {key: value for key, value in decoded if value is not None}


def _page(ioctx: Any, start: str) -> list[tuple[str, bytes]]:
    """The entries after that key, in their order."""
    try:
        with ceph.translated(), ceph.rados.ReadOpCtx() as operation:
            found, _ = ioctx.get_omap_vals(operation, start, '', _PAGE)
            ioctx.operate_read_op(operation, OBJECT)
            return list(found)
    except exceptions.NotFound:
        return []


def write(ioctx: Any, image_id: str, value: Attempts) -> None:
    """Keep what is known of the attempts at one image.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    ceph.write_omap(ioctx, OBJECT, image_id, attempts.encode(value))


def forget(ioctx: Any, image_id: str) -> None:
    """Remove what is known of one image; accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    if read(ioctx, image_id) is None:
        return  # writing would create the object
    with ceph.translated(), ceph.rados.WriteOpCtx() as operation:
        ioctx.remove_omap_keys(operation, (image_id,))
        ioctx.operate_write_op(operation, OBJECT)
