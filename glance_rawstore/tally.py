# SPDX-License-Identifier: Apache-2.0
"""Count, where every node sees it, what became of conversions.

One object in the raw pool, :data:`OBJECT`, with a number under each key of
its omap (:mod:`glance_rawstore.lifecycle.tally`). They are added to by Ceph
itself, with its object class ``numops``, all of one moment in one operation:
nothing is lost between any number of workers in glance-api and in agents,
and nothing of it with a worker. Ceph keeps ten digits of each.

Counting fails nothing: at worst, something is not counted.
"""

import logging
import struct
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import omap
from glance_rawstore.lifecycle import tally
from glance_rawstore.lifecycle.tally import Additions
from glance_rawstore.lifecycle.tally import Tally

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.tally'

_TABLE = omap.Table(OBJECT)


def add(ioctx: Any, additions: Additions) -> None:
    """Add to what was counted; at worst, something is not counted.

    :param ioctx: open ``rados.Ioctx`` of the raw pool
    """
    if not additions:
        return
    try:
        with ceph.translated(), ceph.rados.WriteOpCtx() as operation:
            for key, value in additions.items():
                operation.execute('numops', 'add', _request(key, value))
            ioctx.operate_write_op(operation, OBJECT)
    except exceptions.RawStoreError as exc:
        LOG.warning('What became of a raw copy was not counted: %s', exc)


def _request(key: str, value: float) -> bytes:
    """As ``cls_numops.cc`` of Ceph reads it: key and number, as strings."""
    return _string(key) + _string(f'{value:.3f}')


def _string(text: str) -> bytes:
    data = text.encode()
    return struct.pack('<I', len(data)) + data


def read(ioctx: Any) -> Tally:
    """All that was counted so far.

    :raises CephUnavailable: the cluster does not answer
    """
    found = {}
    for key, value in _TABLE.read_all(ioctx).items():
        try:
            found[key] = float(value)
        except ValueError:
            LOG.warning('The count %s cannot be read: %r', key, value)
    return tally.parse(found)
