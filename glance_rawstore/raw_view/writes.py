# SPDX-License-Identifier: Apache-2.0
"""What callers write of our read-only properties: pure functions.

A tenant is refused; what a service sends is dropped, since Nova copies every
property of a server's base image onto its snapshots, and a snapshot must
neither claim a copy that it has not got nor be refused for the name.
"""

from collections.abc import Mapping
from typing import Any

from glance_rawstore.raw_view.representation import READ_ONLY

#: Where a change of a JSON patch says what it changes: ``path`` by RFC 6902,
#: the others in Glance's older form (openstack-images-v2.0-json-patch).
_PATHS = ('path', 'add', 'replace', 'remove')


def ours(body: Any) -> set[str]:
    """Names of our properties that a request would write.

    :param body: the parsed body of a create or an update, whatever it is
    """
    if isinstance(body, Mapping):
        return set(READ_ONLY & body.keys())
    if isinstance(body, list):
        return {name for change in body for name in _changed(change)}
    return set()


def without_ours(body: Any) -> Any:
    """The body without anything that it would write of them."""
    if isinstance(body, Mapping):
        return {key: v for key, v in body.items() if key not in READ_ONLY}
    return [change for change in body if not _changed(change)]


def _changed(change: Any) -> set[str]:
    if not isinstance(change, Mapping):
        return set()
    roots = {_root(change[key]) for key in _PATHS if key in change}
    return roots & READ_ONLY


def _root(pointer: Any) -> str:
    """First name of a JSON pointer (RFC 6901), its escapes undone.

    Read as generously as Glance does: it takes more than one slash before a
    name and spaces around it (``_decode_json_pointer``, glance 33).
    """
    if not isinstance(pointer, str):
        return ''
    name = pointer.lstrip('/').split('/', 1)[0]
    return name.replace('~1', '/').replace('~0', '~').strip()
