# SPDX-License-Identifier: Apache-2.0
"""What an image says of its raw copy. Pure functions."""

import dataclasses
import enum
from collections.abc import Mapping
from typing import Any

#: Properties that tenants write.
WISH = 'raw_cache'
WEIGHT = 'raw_cache_weight'
PROTECTED = 'raw_cache_protected'

#: Read-only properties, in which the cloud says how far the copy is.
STATUS = 'raw_cache_status'
PROGRESS = 'raw_cache_progress'
SIZE = 'raw_cache_size'

#: Values of STATUS, as documented in doc/source/tenants.rst.
STATUSES = ('pending', 'active', 'pending_delete', 'evicted', 'error')

#: Formats that Ceph clones as they are (``glance_rawstore.formats``).
_NEED_NONE = frozenset({'raw', 'iso', 'ami', 'ari', 'aki'})
#: Statuses of an image whose data is still to come.
_ON_ITS_WAY = frozenset({'queued', 'saving', 'uploading', 'importing'})
_TRUE = frozenset({'1', 't', 'true', 'on', 'y', 'yes'})


@dataclasses.dataclass(frozen=True)
class Copy:
    """The raw copy of an image, as its owner sees it.

    :param wish: the property ``raw_cache`` as it was written; None if absent
    :param status: one of :data:`STATUSES`; None if nothing is said
    :param progress: whole percents
    :param size: bytes that the copy uses
    """

    image_id: str
    name: str
    image_status: str
    disk_format: str | None = None
    wish: str | None = None
    weight: str | None = None
    protected: str | None = None
    status: str | None = None
    progress: int | None = None
    size: int | None = None

    @property
    def wished(self) -> bool:
        """Whether its owner asks for a copy."""
        return _is_true(self.wish)

    @property
    def label(self) -> str:
        """What people call the image."""
        return self.name or self.image_id


def of(image: Any) -> Copy:
    """The copy of an image.

    :param image: as openstacksdk gives it
    """
    properties: Mapping[str, Any] = image.properties or {}
    return Copy(
        image_id=image.id,
        name=image.name or '',
        image_status=image.status,
        disk_format=image.disk_format,
        wish=properties.get(WISH),
        weight=properties.get(WEIGHT),
        protected=properties.get(PROTECTED),
        status=properties.get(STATUS),
        progress=_number(properties.get(PROGRESS)),
        size=_number(properties.get(SIZE)),
    )


def _is_true(value: str | None) -> bool:
    return str(value).strip().lower() in _TRUE


def _number(value: Any) -> int | None:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() else None


class Outcome(enum.Enum):
    """What waiting for a copy comes to."""

    WAITING = enum.auto()
    READY = enum.auto()
    FAILED = enum.auto()


_PENDING_DELETE = (
    'the raw copy was deleted, and is kept only for what was cloned from it'
)
_EVICTED = (
    'the raw copy was evicted to make room; it is made again when the next '
    'server or volume asks for it'
)
_SILENT = (
    'the cloud says nothing of a raw copy: it makes none, or does not show '
    'them'
)
_UNASKED = (
    'no raw copy is asked for; "openstack image raw cache set" asks for one'
)


def judge(copy: Copy) -> tuple[Outcome, str]:
    """What a copy is to one who waits for it, and that in words."""
    if copy.status == 'active':
        return Outcome.READY, 'the raw copy is ready'
    if copy.image_status in _ON_ITS_WAY:
        return Outcome.WAITING, f'the image is {copy.image_status}'
    if copy.image_status != 'active':
        return Outcome.FAILED, f'the image is {copy.image_status}'
    if copy.status is None:
        return _unsaid(copy)
    match copy.status:
        case 'pending':
            return Outcome.WAITING, 'the raw copy is pending'
        case 'pending_delete' if copy.wished:
            return Outcome.WAITING, 'the raw copy is to be made anew'
        case 'pending_delete':
            return Outcome.FAILED, _PENDING_DELETE
        case 'evicted':
            return Outcome.FAILED, _EVICTED
        case 'error':
            return Outcome.FAILED, 'the raw copy could not be made'
    return Outcome.FAILED, f'the raw copy is {copy.status}'


def _unsaid(copy: Copy) -> tuple[Outcome, str]:
    if copy.disk_format in _NEED_NONE:
        return Outcome.READY, f'a {copy.disk_format} image needs no raw copy'
    if copy.wished:
        return Outcome.FAILED, _SILENT
    return Outcome.FAILED, _UNASKED


def last_message(tasks: list[dict[str, Any]]) -> str | None:
    """What the newest conversion of an image said last.

    :param tasks: the image's, as the Images API gives them
    """
    ours = [task for task in tasks if _method(task) == 'raw-cache']
    newest = max(ours, key=lambda t: t.get('created_at') or '', default={})
    return newest.get('message') or None


def _method(task: Mapping[str, Any]) -> str | None:
    request = (task.get('input') or {}).get('import_req') or {}
    name: str | None = (request.get('method') or {}).get('name')
    return name


Change = dict[str, str]


def changes(
    image_properties: Mapping[str, Any],
    put: Mapping[str, str],
    removed: frozenset[str] = frozenset(),
) -> list[Change]:
    """The JSON patch that leads to these properties; may be empty.

    :param image_properties: what the image has now
    :param put: values to set; said again even where they are there, since
        what is said again is tried again
    :param removed: names to take away
    """
    # "add" of what is there replaces it (RFC 6902, and Glance).
    setting: list[Change] = [
        {'op': 'add', 'path': f'/{name}', 'value': value}
        for name, value in put.items()
    ]
    removing: list[Change] = [
        {'op': 'remove', 'path': f'/{name}'}
        for name in sorted(removed & image_properties.keys())
    ]
    return setting + removing
