# SPDX-License-Identifier: Apache-2.0
"""Log lines of a conversion carry the id of the request that led to it."""

import contextlib
from collections.abc import Iterator

from oslo_context import context


class _Context(context.RequestContext):  # type: ignore[misc, unused-ignore]
    """Of a conversion; tells it from others that Glance leaves in threads."""


def new_request_id() -> str:
    """An id for what nobody has asked for over HTTP, in Glance's form."""
    return str(context.generate_request_id())


def request_id() -> str | None:
    """Id of the request for which this thread makes a copy, if it does."""
    found = context.get_current()
    return str(found.request_id) if isinstance(found, _Context) else None


@contextlib.contextmanager
def logged_as(request_id: str | None) -> Iterator[None]:
    """Have what this thread logs, by oslo.log or by us, carry an id.

    A conversion's thread begins without one: the request that led to it has
    one of its own, and ends long before.

    :param request_id: None leaves all as it is
    """
    before = context.get_current()
    if request_id is not None:
        _Context(request_id=request_id, overwrite=True)
    try:
        yield
    finally:
        if before is not None:
            before.update_store()
