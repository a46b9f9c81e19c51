# SPDX-License-Identifier: Apache-2.0
"""Which requests of the Images API the raw view has a part in."""

import enum
import re

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
    match = _IMAGES.fullmatch(path)
    if match is None:
        return None
    image_id = match['image_id'] or ''
    part = match['part'] or ('image' if image_id else 'list')
    if match['part'] in ('image', 'list'):
        return None
    kind = _KINDS.get((method, part))
    return None if kind is None else (kind, image_id)
