# SPDX-License-Identifier: Apache-2.0
"""What consumers were shown and download, kept where all nodes see it.

What these notes are for is told in :mod:`glance_rawstore.lifecycle.shown`.
One object in the raw pool, :data:`OBJECT`, with an entry for each consumer and
image in its omap. Entries are removed by the agent when they are older than
:data:`shown.KEPT`.
"""

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

from glance_rawstore import aio
from glance_rawstore import omap
from glance_rawstore.lifecycle import shown

#: Name of the object.
OBJECT = 'glance_rawstore.downloads'

_TABLE = omap.Table(OBJECT)


def _key(image_id: str, consumer: str) -> str:
    """Of a length of ours, whatever a consumer calls itself."""
    digest = hashlib.sha256(consumer.encode()).hexdigest()
    return f'{image_id}/{digest[:32]}'


@dataclasses.dataclass(frozen=True)
class Noted:
    """What was read of one consumer and image.

    :param note: what it says; None if nothing, or not any more
    :param data: as it lies in Ceph; empty where nothing does
    """

    note: shown.Note | None = None
    data: bytes = b''


def note(
    ioctx: Any,
    image_id: str,
    consumer: str,
    what: shown.Note,
    now: float,
    before: Noted | None = None,
) -> bool:
    """Note something of a consumer and an image, in place of what there was.

    :param consumer: id of the request for which it asks, or another name
    :param now: seconds since the epoch
    :param before: what was read; None where it does not matter
    :returns: False where something else is noted than that by now
    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    key, data = _key(image_id, consumer), shown.encode(what, now)
    if before is None:
        _TABLE.write(ioctx, key, data)
        return True
    return _TABLE.change(ioctx, {key: before.data}, {key: data})


def noted(ioctx: Any, image_id: str, consumer: str, now: float) -> Noted:
    """What was noted of a consumer, not longer than :data:`shown.KEPT` ago.

    :param now: seconds since the epoch
    :raises CephUnavailable: the cluster does not answer
    """
    return begin_noted(ioctx, image_id, consumer, now).result()


def begin_noted(
    ioctx: Any, image_id: str, consumer: str, now: float
) -> aio.Underway[Noted]:
    """Begin to read what :func:`noted` returns."""
    key = _key(image_id, consumer)

    def decoded(found: Mapping[str, bytes]) -> Noted:
        data = found.get(key, b'')
        return Noted(shown.decode(data, now), data)

    return _TABLE.begin_read(ioctx, (key,)).then(decoded)


def forget_old(ioctx: Any, now: float) -> int:
    """Remove what is too old; how many entries these were.

    :raises CephUnavailable: the cluster does not answer
    """
    return _TABLE.remove_where(
        ioctx, lambda _key, value: shown.decode(value, now) is None
    )
