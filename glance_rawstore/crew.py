# SPDX-License-Identifier: Apache-2.0
"""Who writes a ``.part`` together: the owner asks for help, helpers are there.

That there are slices to take is told in one object in the raw pool,
:data:`OBJECT`: internal ids of ``.part`` images, by image. An entry that is
out of date does no harm; whoever finds one removes it.

A helper holds a lock of its own on the header of the ``.part``, with a
duration, so that one which is heard of no more is not waited for.
"""

import contextlib
import logging
import uuid
from collections.abc import Iterator
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore import omap
from glance_rawstore.lifecycle.slices import UNKNOWN
from glance_rawstore.record import Record

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.crew'

_ENTRIES = omap.Entries(OBJECT, str.encode, omap.text)
_LOCK = 'glance_rawstore_helper'

#: Copies that have slices to take: ids of their ``.part``, by image.
offered = _ENTRIES.read_all


def withdraw(ioctx: Any, image_id: str, rbd_id: str) -> None:
    """Have nobody help with a ``.part``; accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    _ENTRIES.table.remove_unchanged(ioctx, image_id, rbd_id.encode())


def may_come(ioctx: Any, workers: int) -> bool:
    """Whether there is anybody who could help.

    :param workers: that may write one copy
    """
    if workers == 1:
        return False
    try:
        return handover.attended(ioctx)
    except exceptions.CephUnavailable:
        return False


def is_there(ioctx: Any, rbd_id: str, name: str) -> bool:
    """Whether a helper lives.

    :param name: its name
    :raises CephUnavailable: the cluster does not answer
    """
    return lease.holders(ioctx, f'rbd_header.{rbd_id}', _lock(name)) > 0


def _lock(name: str) -> str:
    return f'{_LOCK}.{name}'


@contextlib.contextmanager
def presence(ioctx: Any, rbd_id: str, duration: float) -> Iterator[str]:
    """Be there as a helper for as long as the context lasts.

    :param duration: seconds after which it is taken for gone, when it is
        not heard of
    :returns: the helper's name
    :raises NotFound: the ``.part`` is gone
    :raises CephUnavailable: the cluster does not answer
    """
    name = str(uuid.uuid4())
    held = lease.Lease(ioctx, rbd_id, duration, _lock(name))
    held.acquire()
    try:
        yield name
    finally:
        held.release()


class Sharing:
    """The owner's: lets others know as long as there are slices to take.

    Fails nothing: at worst nobody helps.

    :param workers: that may write one copy
    """

    def __init__(
        self, ioctx: Any, image_id: str, record: Record, workers: int
    ) -> None:
        self._ioctx = ioctx
        self._image_id = image_id
        self._record = record
        self._wanted = workers > 1
        self._told = False

    def tell(self) -> None:
        """Tell it, if it has changed."""
        record = self._record
        known = record.source and not record.source.startswith(UNKNOWN)
        shared = bool(self._wanted and known and record.todo.free())
        if shared == self._told:
            return
        self._told = shared
        rbd_id = record.rbd_id
        try:
            if shared:
                _ENTRIES.write(self._ioctx, self._image_id, rbd_id)
            else:
                withdraw(self._ioctx, self._image_id, rbd_id)
        except exceptions.RawStoreError as exc:
            LOG.info('Others were not told of slices to take: %s', exc)

    def close(self) -> None:
        """Have nobody come any more."""
        if self._told:
            with contextlib.suppress(exceptions.RawStoreError):
                withdraw(self._ioctx, self._image_id, self._record.rbd_id)
