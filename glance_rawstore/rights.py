# SPDX-License-Identifier: Apache-2.0
"""What a cephx user may do, found out by trying what changes nothing.

An OSD and the monitor look at the caps before anything else, so removing an
object that is not there is refused, or says that it is not there (seen on
16.2 with each of the caps of the documentation).
"""

import errno
import json
from collections.abc import Callable
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import raw_pool

_NOTHING = 'glance_rawstore.nothing'
#: That no client has; the monitor cannot even parse it.
_NOBODY = 'nobody/1'

READ = 'read the raw pool'
WRITE = 'write the raw pool'
LOCK = 'take leases in the raw pool'
FENCE = 'fence dead writers'


def originals(store: str) -> str:
    """Name of the right to read a store's originals in place."""
    return f'read the originals of store {store}'


def of_pool(pool: raw_pool.RawPool) -> dict[str, bool]:
    """Which rights the user of an open raw pool has there, by name.

    :raises CephUnavailable: the cluster does not answer
    """
    ioctx = pool.ioctx
    return {
        READ: may_read(ioctx),
        WRITE: _allowed(lambda: ioctx.remove_object(_NOTHING)),
        LOCK: _allowed(lambda: ioctx.unlock(_NOTHING, _NOTHING, _NOTHING)),
        FENCE: _may_fence(pool.client),
    }


def may_read(ioctx: Any) -> bool:
    """Whether the user may read a pool.

    :raises CephUnavailable: the cluster does not answer
    """
    return _allowed(lambda: ioctx.stat(_NOTHING))


def _allowed(attempt: Callable[[], object]) -> bool:
    try:
        with ceph.translated():
            attempt()
    except exceptions.NotFound:
        return True
    except exceptions.CephUnavailable as exc:
        number = abs(getattr(exc.__cause__, 'errno', 0) or 0)
        if number in (errno.EPERM, errno.EACCES):
            return False
        raise
    return True


def _may_fence(client: Any) -> bool:
    """Whether the monitor would take an address to fence."""
    command = {
        'prefix': 'osd blocklist',
        'blocklistop': 'add',
        'addr': _NOBODY,
    }
    with ceph.translated():
        code, _, _ = client.mon_command(json.dumps(command), b'')
    return bool(code not in (-errno.EPERM, -errno.EACCES))
