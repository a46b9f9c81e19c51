# SPDX-License-Identifier: Apache-2.0
"""What all operations of librbd have in common, on a Ceph in memory."""

import errno
import functools
from collections.abc import Callable
from typing import Any

from tests.fakes import bindings
from tests.fakes import ceph

error = bindings.rbd_error


def operation(method: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse it, or have something happen to it, as the cluster is told."""

    @functools.wraps(method)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        ioctx = self.ioctx if hasattr(self, 'ioctx') else args[0]
        ioctx.cluster.check(ioctx, error)
        before, after = ioctx.cluster.events(method.__name__)
        before()
        result = method(self, *args, **kwargs)
        after()
        return result

    return wrapper


def check_readable(image: ceph.Image) -> None:
    if image.damaged:
        raise error(errno.EIO, f'error opening {image.name}')


def grow(ioctx: Any) -> None:
    if ioctx.pool.full:
        raise error(errno.EDQUOT, 'the pool is full')
