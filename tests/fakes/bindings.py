# SPDX-License-Identifier: Apache-2.0
"""The exceptions and constants of rados and rbd.

They are the real ones where these can be imported, and classes of the same
names elsewhere; so the fakes raise what the package catches.
"""

import errno
import importlib
import types
from typing import Any

_RBD_ERRORS = {
    errno.EPERM: 'PermissionError',
    errno.ENOENT: 'ImageNotFound',
    errno.EIO: 'IOError',
    errno.EBUSY: 'ImageBusy',
    errno.EEXIST: 'ImageExists',
    errno.EINVAL: 'InvalidArgument',
    errno.ENOSPC: 'NoSpace',
    errno.EROFS: 'ReadOnlyImage',
    errno.ENOTEMPTY: 'ImageHasSnapshots',
    errno.ESHUTDOWN: 'ConnectionShutdown',
    errno.ETIMEDOUT: 'Timeout',
    errno.EDQUOT: 'DiskQuotaExceeded',
}
_RADOS_ERRORS = {
    errno.EPERM: 'PermissionError',
    errno.ENOENT: 'ObjectNotFound',
    errno.EBUSY: 'ObjectBusy',
    errno.EEXIST: 'ObjectExists',
    errno.EINVAL: 'InvalidArgumentError',
    errno.ESHUTDOWN: 'ConnectionShutdown',
    errno.ETIMEDOUT: 'TimedOut',
}

#: From librbd.h and features.h of Ceph.
RBD_CONSTANTS = {
    'RBD_FEATURE_LAYERING': 1,
    'RBD_FEATURE_EXCLUSIVE_LOCK': 4,
    'RBD_FEATURE_OBJECT_MAP': 8,
    'RBD_FEATURE_FAST_DIFF': 16,
    'RBD_FLAG_OBJECT_MAP_INVALID': 1,
    'RBD_FLAG_FAST_DIFF_INVALID': 2,
    'RBD_SNAP_NAMESPACE_TYPE_USER': 0,
    'RBD_SNAP_NAMESPACE_TYPE_TRASH': 2,
}


class _Error(Exception):
    """Stands in for rados.Error and rbd.Error."""

    def __init__(self, message: str, errno: int | None = None) -> None:
        super().__init__(message)
        self.errno = errno


def _substitute(names: list[str]) -> types.SimpleNamespace:
    root = type('Error', (_Error,), {})
    os_error = type('OSError', (root,), {})
    found = types.SimpleNamespace(Error=root, OSError=os_error)
    for name in names:
        setattr(found, name, type(name, (os_error,), {}))
    return found


def _module(name: str, errors: dict[int, str]) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        return _substitute(list(errors.values()))


_RBD = _module('rbd', _RBD_ERRORS)
_RADOS = _module('rados', _RADOS_ERRORS)


def _names(module: Any, errors: dict[int, str]) -> dict[str, type]:
    names = ('Error', 'OSError', *errors.values())
    return {name: getattr(module, name) for name in names}


RBD_ERRORS = _names(_RBD, _RBD_ERRORS)
RADOS_ERRORS = _names(_RADOS, _RADOS_ERRORS)


def rbd_error(number: int, message: str) -> Exception:
    """What librbd's binding raises for an error number."""
    error: Exception = RBD_ERRORS[_RBD_ERRORS[number]](message, number)
    return error


def rados_error(number: int, message: str) -> Exception:
    """What librados's binding raises for an error number."""
    name = _RADOS_ERRORS.get(number, 'OSError')
    error: Exception = RADOS_ERRORS[name](message, number)
    return error
