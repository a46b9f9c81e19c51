# SPDX-License-Identifier: Apache-2.0
"""Which requests of the Images API the raw view has a part in."""

import enum
import re

_STORES = re.compile(
    r'/v2(?:\.\d+)?/stores/(?P<store>[^/]+)/(?P<image_id>[^/]+)/?'
)
_IMAGES = re.compile(
    r'/v2(?:\.\d+)?/images(?:/(?P<image_id>[^/]+)(?:/(?P<part>[^/]+))?)?/?'
)


class Kind(enum.Enum):
    """What a request is about."""

    IMAGE = enum.auto()
    LIST = enum.auto()
    LOCATIONS = enum.auto()
    FILE = enum.auto()
    CREATE = enum.auto()
    UPDATE = enum.auto()
    DELETE = enum.auto()
    STORE_DELETE = enum.auto()


_KINDS = {
    ('GET', 'list'): Kind.LIST,
    ('POST', 'list'): Kind.CREATE,
    ('GET', 'image'): Kind.IMAGE,
    ('PATCH', 'image'): Kind.UPDATE,
    ('DELETE', 'image'): Kind.DELETE,
    ('GET', 'locations'): Kind.LOCATIONS,
    ('GET', 'file'): Kind.FILE,
}


def classify(method: str, path: str) -> tuple[Kind, str] | None:
    """Tell what a request is about, by its method and path.

    :returns: (kind, image id or ''), or None when it is not for us
    """
    stored = _STORES.fullmatch(path)
    if stored is not None and method == 'DELETE':
        return Kind.STORE_DELETE, stored['image_id']
    match = _IMAGES.fullmatch(path)
    if match is None:
        return None
    image_id = match['image_id'] or ''
    part = match['part'] or ('image' if image_id else 'list')
    if match['part'] in ('image', 'list'):
        return None
    kind = _KINDS.get((method, part))
    return None if kind is None else (kind, image_id)


def store(path: str) -> str:
    """The store that a request is about, or '' where it is about none."""
    match = _STORES.fullmatch(path)
    return match['store'] if match is not None else ''
