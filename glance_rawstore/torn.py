# SPDX-License-Identifier: Apache-2.0
"""Put right what a client left that was killed within one call of librbd's.

A rename writes the new name's object, then the directory, and removes the old
name's object (``RenameRequest.cc``); a move to the trash writes the trash,
then removes the name's object and what the directory has of it
(``trash/MoveRequest.cc``). A SIGKILL in between leaves two names of one image,
or the name of one that is in the trash: both were seen, on 16.2.
"""

import contextlib
import logging
import time
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy

LOG = logging.getLogger(__name__)

#: The object of a name, which holds the id (RBD_ID_PREFIX in Ceph's
#: include/rbd_types.h).
_NAME_OBJECT = 'rbd_id.'

#: Seconds that creating an image may take, while Ceph is away for a moment.
_CREATION = 120.0


def rbd_id(ioctx: Any, name: str) -> str | None:
    """Internal id of the image that opens by that name, or None.

    :raises CephUnavailable: the cluster does not answer
    """
    try:
        with (
            ceph.translated(),
            ceph.rbd.Image(ioctx, name, read_only=True) as image,
        ):
            return str(image.id())
    except exceptions.NotFound:
        return None


def finish_rename(ioctx: Any, image_id: str, part_id: str) -> bool:
    """Put right the rename of a ``.part`` that was interrupted, if it was.

    librbd refuses to rename an image again of which there are both names.
    Nobody may be at it: who calls has the lease, or saw that nobody has.

    :param part_id: internal id of the RBD image
    :returns: True when it has its final name by now, and that alone
    :raises CephUnavailable: the cluster does not answer
    """
    part, final = raw_copy.part_name(image_id), raw_copy.name(image_id)
    if rbd_id(ioctx, final) != part_id:
        return False
    renamed = final in directory.ids(ioctx, (final,))
    stale = part if renamed else final
    if rbd_id(ioctx, stale) == part_id:
        LOG.info('Image %s: a rename was interrupted', image_id)
        with contextlib.suppress(exceptions.NotFound), ceph.translated():
            ioctx.remove_object(f'{_NAME_OBJECT}{stale}')
    return renamed


def finish_trash(ioctx: Any, image_id: str) -> None:
    """Put right a move to the trash that was interrupted, if one was.

    What is in the trash must not have a name any more. Moving it again is
    harmless to whoever is at it still. Nor must what is gone.

    :raises CephUnavailable: the cluster does not answer
    """
    names = (raw_copy.part_name(image_id), raw_copy.name(image_id))
    listed = directory.ids(ioctx, names)
    if not listed:
        return
    with ceph.translated():
        entries = list(ceph.rbd.RBD().trash_list(ioctx))
    trashed = {entry['id'] for entry in entries}
    for name, named in listed.items():
        if named in trashed:
            LOG.info('Image %s: a deletion was interrupted', image_id)
            with contextlib.suppress(exceptions.NotFound), ceph.translated():
                ceph.rbd.RBD().trash_move(ioctx, name, 0)
        elif not _has_header(ioctx, named) and not _is_new(ioctx, name):
            # Of a rename that was under way when its image was removed, or
            # of a creation, which writes the header last.
            LOG.info('Image %s: a name of nothing was left', image_id)
            with contextlib.suppress(exceptions.NotFound), ceph.translated():
                ceph.rbd.RBD().remove(ioctx, name)


def _has_header(ioctx: Any, named: str) -> bool:
    try:
        with ceph.translated():
            ioctx.stat(f'rbd_header.{named}')
    except exceptions.NotFound:
        return False
    return True


def _is_new(ioctx: Any, name: str) -> bool:
    """Whether somebody may be creating an image of that name still."""
    try:
        with ceph.translated():
            _size, written = ioctx.stat(f'{_NAME_OBJECT}{name}')
    except exceptions.NotFound:
        return False
    return time.time() - time.mktime(written) < _CREATION
