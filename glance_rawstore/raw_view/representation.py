# SPDX-License-Identifier: Apache-2.0
"""What is shown of an image, and to whom: one decision, pure functions.

An image has two representations, the *original* and the *raw* one. Everything
that is shown of it at once belongs to one of them: :func:`chosen` decides,
and the answers of every endpoint are made from what it returns.

A service is shown no location in RBD that does not hold raw bytes. Cinder
asks for the image and for its locations in two calls and clones when the one
says ``raw`` and the other one opens; a copy that goes in between must leave
it with nothing to clone (``cinder.volume.drivers.rbd.clone_image``; on an
empty list of locations ``cinder.image.glance.get_location`` asks for the
image once more).
"""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from glance_rawstore import safety
from glance_rawstore import selection
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states

ImageView = dict[str, Any]

#: How tenants follow their copy. Derived for each answer, never stored.
STATUS = 'raw_cache_status'
PROGRESS = 'raw_cache_progress'
SIZE = 'raw_cache_size'
READ_ONLY = frozenset({STATUS, PROGRESS, SIZE})

#: Status of a copy whose last conversion failed.
ERROR = 'error'

_CLONEABLE = 'rbd:'
#: A signature is one of the original's bytes (``cursive``).
_SIGNATURE = 'img_signature'


@dataclasses.dataclass(frozen=True)
class Copy:
    """A copy of an image in one raw store, as Ceph has it.

    :param url: of its location
    :param size: virtual size in bytes
    :param bytes_used: None where it is not known
    :param progress: of a pending copy, in percent; None where not known
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

    @property
    def location(self) -> dict[str, Any]:
        """As the Images API shows a location."""
        metadata = raw_copy.location_metadata(
            self.store, self.status, self.weight, dict(self.node_weights)
        )
        return {'url': self.url, 'metadata': metadata}


def is_original_raw(disk_format: str | None) -> bool:
    """Whether the original itself is what a service may clone."""
    return disk_format in safety.ALREADY_RAW


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
    if status != 'active' or is_original_raw(disk_format):
        return []
    active = [c for c in copies if c.status is states.Status.ACTIVE]
    # All of one size, that of the guest's disk, or something is wrong.
    if len({copy.size for copy in active}) != 1:
        return []
    return sorted(
        active,
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
    if not is_original_raw(image.get('disk_format')):
        _hide_cloneable(shown)
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


def _hide_cloneable(shown: ImageView) -> None:
    """Take away what a caller that remembers "raw" would clone."""
    if str(shown.get('direct_url', '')).startswith(_CLONEABLE):
        del shown['direct_url']
    if 'locations' in shown:
        shown['locations'] = _not_cloneable(shown['locations'])


def _not_cloneable(locations: Iterable[Mapping[str, Any]]) -> list[Any]:
    return [
        location
        for location in locations
        if not str(location.get('url', '')).startswith(_CLONEABLE)
    ]


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
    raw = chosen(status, disk_format, copies, node)
    if raw:
        return [copy.location for copy in raw]
    if is_original_raw(disk_format):
        return list(locations)
    return _not_cloneable(locations)


def for_tenant(
    image: Mapping[str, Any], copies: Sequence[Copy], task: str | None
) -> ImageView:
    """An image as everybody else is shown it: the original, and how far.

    :param task: status of the task of the last conversion, if there is one;
        says something only where there is no copy
    """
    shown = _without_ours(image)
    found = {copy.status: copy for copy in copies}
    if found:
        status = selection.derive_status([str(status) for status in found])
        shown.update(_progress(found[states.Status(status)]))
    elif task == 'failure':
        shown[STATUS] = ERROR
    elif task in ('pending', 'processing'):
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
