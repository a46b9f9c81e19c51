# SPDX-License-Identifier: Apache-2.0
"""Who downloads an original that may get a copy, kept where all nodes see it.

Nova and Cinder look at an image again when they have its bytes. So whoever has
begun to download the original must go on being shown the original, though the
copy has become active since, by whichever worker.

One object in the raw pool, :data:`OBJECT`, with an entry for each consumer and
image in its omap, written once for a download. Entries are removed by the
agent when they are older than :data:`KEPT`.
"""

import hashlib
from collections.abc import Iterator
from typing import Any

from glance_rawstore import omap

#: Name of the object.
OBJECT = 'glance_rawstore.downloads'
#: Seconds for which a consumer goes on being shown the original.
KEPT = 6 * 3600.0

_TABLE = omap.Table(OBJECT)


def _key(image_id: str, consumer: str) -> str:
    """Of a length of ours, whatever a consumer calls itself."""
    digest = hashlib.sha256(consumer.encode()).hexdigest()
    return f'{image_id}/{digest[:32]}'


def note(ioctx: Any, image_id: str, consumer: str, now: float) -> None:
    """Note that a consumer begins to download an image's original.

    :param consumer: id of the request for which it does
    :param now: seconds since the epoch
    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.write(ioctx, _key(image_id, consumer), f'{now:.0f}'.encode())


def noted(ioctx: Any, image_id: str, consumer: str, now: float) -> bool:
    """Whether a consumer has begun to, not longer than :data:`KEPT` ago.

    :raises CephUnavailable: the cluster does not answer
    """
    key = _key(image_id, consumer)
    found = _TABLE.read(ioctx, (key,)).get(key)
    return found is not None and not _is_old(found, now)


def forget_old(ioctx: Any, now: float) -> int:
    """Remove what is older than :data:`KEPT`; how many entries these were.

    :raises CephUnavailable: the cluster does not answer
    """
    old = list(_old(_TABLE.read_all(ioctx), now))
    for key in old:
        _TABLE.remove(ioctx, key)
    return len(old)


def _old(entries: dict[str, bytes], now: float) -> Iterator[str]:
    return (key for key, value in entries.items() if _is_old(value, now))


def _is_old(value: bytes, now: float) -> bool:
    try:
        return now - float(value) > KEPT
    except ValueError:
        return True
