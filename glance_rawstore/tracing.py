# SPDX-License-Identifier: Apache-2.0
"""Log lines of a conversion carry the id of the request that led to it."""

import contextlib
import threading
from collections.abc import Iterator

from oslo_context import context

#: For our own log; a context stays in its thread, where Glance leaves others.
_LOCAL = threading.local()


def new_request_id() -> str:
    """An id for what nobody has asked for over HTTP, in Glance's form."""
    return str(context.generate_request_id())


def request_id() -> str | None:
    """Id of the request for which this thread makes a copy, if it does."""
    found: str | None = getattr(_LOCAL, 'request_id', None)
    return found


@contextlib.contextmanager
def logged_as(named: str | None) -> Iterator[None]:
    """Have what this thread logs, by oslo.log or by us, carry an id.

    A conversion's thread begins without one: the request that led to it has
    one of its own, and ends long before.

    :param named: the id; None leaves all as it is
    """
    before, outer = context.get_current(), request_id()
    if named is not None:
        context.RequestContext(request_id=named, overwrite=True)
        _LOCAL.request_id = named
    try:
        yield
    finally:
        _LOCAL.request_id = outer
        if before is not None:
            before.update_store()
