# SPDX-License-Identifier: Apache-2.0
"""What is shown of an image, and to whom: one decision, pure functions.

An image has two representations, the *original* and the *raw* one. Everything
that is shown of it at once belongs to one of them: :func:`chosen` decides,
and the answers of every endpoint are made from what it returns.

Cinder asks for the locations and for the image in separate calls, and clones
when the one opens and the other says ``raw``; a copy that comes or goes in
between must leave it with nothing to clone. So where there is no raw copy to
show, the list of locations is empty and the image has no ``direct_url``,
without which Cinder does not look at the image's own ``locations``
(``cinder.image.glance.get_location``, cinder 29). These are kept, for Nova,
which reads one answer alone and takes the pool for a snapshot of a flattened
disk from there (``nova.virt.libvirt.imagebackend.Rbd._get_parent_pool``).
"""

import dataclasses
import enum
import math
import urllib.parse
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glance_rawstore import formats
from glance_rawstore import selection
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states

ImageView = dict[str, Any]

#: How tenants follow their copy. Derived for each answer, never stored.
STATUS = 'raw_cache_status'
PROGRESS = 'raw_cache_progress'
SIZE = 'raw_cache_size'
READ_ONLY = frozenset({STATUS, PROGRESS, SIZE})

#: Status of a copy at which the last attempt failed.
ERROR = 'error'
#: Status of one that had to make room for others.
EVICTED = 'evicted'

#: A signature is one of the original's bytes (``cursive``).
_SIGNATURE = 'img_signature'


class Wish(enum.Enum):
    """What there is to say of an image that has no copy."""

    NONE = enum.auto()
    STANDS = enum.auto()
    FAILED = enum.auto()
    EVICTED = enum.auto()


@dataclasses.dataclass(frozen=True)
class Copy:
    """A copy of an image in one raw store, as Ceph has it.

    :param url: of its location
    :param size: virtual size in bytes
    :param bytes_used: None where it is not known
    :param progress: of a pending copy, in percent; None where not known
    :param committed: when it became active, in seconds since the epoch; 0
        where that is not noted, or it is not
    :param age: seconds for which it has been active; less than 0 where
        clocks differ
    :param node_weights: weights that hold on single nodes only
    """

    store: str
    url: str
    status: states.Status
    size: int = 0
    bytes_used: int | None = None
    progress: int | None = None
    weight: int = 0
    node_weights: Mapping[str, int] = dataclasses.field(default_factory=dict)
    committed: float = 0.0
    age: float = math.inf

    @property
    def location(self) -> dict[str, Any]:
        """As the Images API shows a location."""
        metadata = raw_copy.location_metadata(
            self.store, self.status, self.weight, dict(self.node_weights)
        )
        return {'url': self.url, 'metadata': metadata}


def is_original_raw(disk_format: str | None) -> bool:
    """Whether the original itself is what a service may clone."""
    return disk_format in formats.ALREADY_RAW


def may_have_copy(status: str | None, disk_format: str | None) -> bool:
    """Whether an image is one of which a service may be shown a copy.

    :param status: the image's own status in Glance
    :param disk_format: the original's
    """
    return status == 'active' and not is_original_raw(disk_format)


def chosen(
    status: str | None,
    disk_format: str | None,
    copies: Iterable[Copy],
    node: str | None,
) -> list[Copy]:
    """Decide on a representation for a service.

    :param status: the image's own status in Glance
    :param disk_format: the original's
    :param copies: those whose bytes can be read in Ceph
    :param node: name of the node, for its own weights
    :returns: the copies to show, heaviest first; the original if none
    """
    if not may_have_copy(status, disk_format):
        return []
    return active(copies, node)


def active(copies: Iterable[Copy], node: str | None) -> list[Copy]:
    """Those that may be shown of an image of which there may be any.

    :param copies: those whose bytes can be read in Ceph
    :param node: name of the node, for its own weights
    :returns: heaviest first
    """
    found = [c for c in copies if c.status is states.Status.ACTIVE]
    if len(found) == 1:  # as ever, with one raw store
        return found
    # All of one size, that of the guest's disk, or something is wrong.
    if len({copy.size for copy in found}) != 1:
        return []
    return sorted(
        found,
        key=lambda copy: selection.weight(copy.location, node),
        reverse=True,
    )


def for_service(
    image: Mapping[str, Any], copies: Iterable[Copy], node: str | None
) -> ImageView:
    """An image as a service is shown it.

    :param image: as Glance has shown it
    """
    shown = _without_ours(image)
    raw = chosen(image.get('status'), image.get('disk_format'), copies, node)
    if raw:
        return _raw(shown, raw)
    if is_original_raw(image.get('disk_format')):
        return _without_copies_of_others(shown)
    return _without_direct_url(shown)


def _is_copy(location: Mapping[str, Any]) -> bool:
    """Whether a location leads to a raw copy, in whatever pool.

    An image that is raw has none, so somebody who may edit locations has
    named the copy of another image.
    """
    parts = str(location.get('url', '')).removeprefix('rbd://').split('/')
    return any(raw_copy.parse(urllib.parse.unquote(part)) for part in parts)


def _without_copies_of_others(shown: ImageView) -> ImageView:
    if _is_copy({'url': shown.get('direct_url')}):
        del shown['direct_url']
    if 'locations' in shown:
        kept = [loc for loc in shown['locations'] if not _is_copy(loc)]
        shown['locations'] = kept
    return shown


def _raw(shown: ImageView, raw: Sequence[Copy]) -> ImageView:
    shown = {k: v for k, v in shown.items() if not k.startswith(_SIGNATURE)}
    shown.update(
        disk_format='raw',
        container_format='bare',
        size=raw[0].size,
        virtual_size=raw[0].size,
        # Nobody has hashed the raw bytes.
        checksum=None,
        os_hash_algo=None,
        os_hash_value=None,
        direct_url=raw[0].url,
        locations=[copy.location for copy in raw],
    )
    return shown


def _without_direct_url(shown: ImageView) -> ImageView:
    """Keep the URL only where nobody clones what it leads to."""
    url = shown.get('direct_url')
    kept = {key: v for key, v in shown.items() if key != 'direct_url'}
    if url and 'locations' not in kept:
        kept['locations'] = [{'url': url, 'metadata': {}}]
    return kept


def locations_for_service(
    status: str | None,
    disk_format: str | None,
    locations: Iterable[Mapping[str, Any]],
    copies: Iterable[Copy],
    node: str | None,
) -> list[Any]:
    """The locations of an image as a service is shown them.

    :param status: the image's own status in Glance
    :param disk_format: the original's
    :param locations: as Glance has shown them
    """
    if is_original_raw(disk_format):
        return [loc for loc in locations if not _is_copy(loc)]
    raw = chosen(status, disk_format, copies, node)
    return [copy.location for copy in raw]


def for_tenant(
    image: Mapping[str, Any], copies: Sequence[Copy], wish: Wish
) -> ImageView:
    """An image as everybody else is shown it: the original, and how far.

    :param wish: says something only where there is no copy
    """
    shown = _without_ours(image)
    found = {copy.status: copy for copy in copies}
    if found:
        status = selection.derive_status([str(status) for status in found])
        shown.update(_progress(found[states.Status(status)]))
    elif wish is Wish.FAILED:
        shown[STATUS] = ERROR
    elif wish is Wish.EVICTED:
        shown[STATUS] = EVICTED
    elif wish is Wish.STANDS:
        shown.update({STATUS: str(states.Status.PENDING), PROGRESS: '0'})
    return shown


def plain(image: Mapping[str, Any]) -> ImageView:
    """An image as a service is shown it that gets no raw copies."""
    return _without_ours(image)


def _progress(copy: Copy) -> dict[str, str]:
    """Values of our properties; strings, as all properties are."""
    values: dict[str, Any] = {STATUS: copy.status}
    if copy.status is states.Status.PENDING:
        values[PROGRESS] = copy.progress or 0
    if copy.status is states.Status.ACTIVE:
        values[PROGRESS] = 100
    if copy.bytes_used is not None:
        values[SIZE] = copy.bytes_used
    return {key: str(value) for key, value in values.items()}


def _without_ours(image: Mapping[str, Any]) -> ImageView:
    """What a tenant may have stored under these names says nothing."""
    return {key: v for key, v in image.items() if key not in READ_ONLY}
