# SPDX-License-Identifier: Apache-2.0
"""Names in the raw pool, and the values that describe a copy.

::

    <image_id>_raw.part          pending: being written
    <image_id>_raw@snap          active: committed, snapshot protected
    either, in the RBD trash     pending_delete
    rbd://<fsid>/<pool>/<image_id>_raw/snap      the location's URL

What is named otherwise in the raw pool is not a copy but somebody's
original (Nova's direct snapshots, raw bytes stored by ``add``).
"""

import dataclasses
import functools
import re
import urllib.parse
from typing import Any

from glance_rawstore.lifecycle import states

SNAPSHOT = 'snap'
_SUFFIX = '_raw'
_PART_SUFFIX = '_raw.part'

#: RBD image-meta keys. Provenance and progress: no state is derived from
#: them.
META_PREFIX = 'glance_rawstore.'
META_SOURCE_FORMAT = META_PREFIX + 'source_format'
#: Present, "true", if the copy was made for the image's wish, and is to go
#: with it; not on one that an admin made by ``copy-image``, or ordered.
META_BY_WISH = META_PREFIX + 'by_wish'
META_BYTES_USED = META_PREFIX + 'bytes_used'
#: Whole percents as a string, "0" to "100"; on a ``.part`` only.
META_PROGRESS = META_PREFIX + 'progress'
#: What is done, see :mod:`glance_rawstore.lifecycle.slices`; on a ``.part``
#: only.
META_SLICES = META_PREFIX + 'slices'
#: Cookie of the lease of who makes it, or made it.
META_WORKER = META_PREFIX + 'worker'
#: When it became active, in seconds since the epoch.
META_COMMITTED = META_PREFIX + 'committed'

#: What to do about a copy that cannot be opened.
ADVICE = (
    'See "A copy cannot be opened" under "When you are paged" in the manual.'
)

_NAME = re.compile(
    r'(?P<image_id>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})'
    r'_raw(?P<part>\.part)?'
)


def name(image_id: str) -> str:
    """Name of the committed copy of an image."""
    return f'{image_id}{_SUFFIX}'


def part_name(image_id: str) -> str:
    """Name of the copy of an image while it is being written."""
    return f'{image_id}{_PART_SUFFIX}'


def parse(rbd_name: str) -> tuple[str, bool] | None:
    """Take the name of an RBD image apart.

    :returns: (image id, is it a ``.part``), or None when it is not a copy
    """
    match = _NAME.fullmatch(rbd_name)
    if match is None:
        return None
    return match['image_id'], match['part'] is not None


def copy_of(rbd_name: str) -> str | None:
    """Image id when the name is that of a committed copy, else None."""
    parsed = parse(rbd_name)
    if parsed is None or parsed[1]:
        return None
    return parsed[0]


def url(fsid: str, pool: str, image_id: str) -> str:
    """URL of the copy's location, quoted as the rbd driver quotes."""
    quoted = urllib.parse.quote(name(image_id), '')
    return f'{_place(fsid, pool)}/{quoted}/{SNAPSHOT}'


@functools.lru_cache
def _place(fsid: str, pool: str) -> str:
    """What all locations in a pool begin with."""
    parts = (urllib.parse.quote(part, '') for part in (fsid, pool))
    return 'rbd://' + '/'.join(parts)


def is_url(url: str, image_id: str) -> bool:
    """Whether a location's URL names the copy of an image, in any pool."""
    return url.endswith(f'/{name(image_id)}/{SNAPSHOT}')


def location_metadata(
    store: str,
    status: states.Status,
    weight: int,
    node_weights: dict[str, int] | None = None,
) -> dict[str, Any]:
    """Metadata of a copy's location.

    Numbers are strings because Glance takes only str, dict and list
    (``glance_store.multi_backend.check_location_metadata``).

    :param weight: larger is preferred; no unit
    :param node_weights: weights that hold on the named nodes only
    """
    metrics = {
        'weight': str(weight),
        'node-weights': {k: str(v) for k, v in (node_weights or {}).items()},
    }
    return {
        'store': store,
        'format': 'raw',
        'status': str(status),
        'metrics': metrics,
    }


@dataclasses.dataclass(frozen=True)
class Making:
    """How far the making of a copy is.

    :param leased: a living worker is at it
    :param slices: of the disk; None where they are not known, so that
        nobody can go on when the worker is gone
    :param progress: in percent, as it was noted last
    """

    leased: bool
    slices: int | None = None
    slices_done: int = 0
    progress: int | None = None


@dataclasses.dataclass(frozen=True)
class RawCopy:
    """A raw copy as it lies in the raw pool.

    Sizes are in bytes; ``created`` is in seconds since the epoch;
    ``bytes_used`` is None where it is not known; ``children`` is None where
    there are some that may not be seen; ``making`` is None unless it is
    pending. Of one that is ``damaged``, so that it cannot be opened, neither
    size nor children nor age are known; that says why.
    """

    image_id: str
    pool: str
    status: states.Status
    virtual_size: int | None
    bytes_used: int | None
    children: tuple[str, ...] | None
    created: float | None
    rbd_name: str
    rbd_id: str
    source_format: str | None = None
    making: Making | None = None
    damaged: str = ''

    @property
    def clones(self) -> str:
        """How many there are, for people."""
        if self.damaged:
            return '?'
        return 'some' if self.children is None else str(len(self.children))

    @property
    def place(self) -> str:
        """Its RBD image, for people."""
        return f'{self.pool}/{self.rbd_name} (id {self.rbd_id})'

    @property
    def alarm(self) -> str:
        """What an operator is told of one that is damaged."""
        return (
            f'The raw copy of image {self.image_id} is left as it is, since '
            f'{self.place} cannot be opened: {self.damaged} {ADVICE}'
        )
