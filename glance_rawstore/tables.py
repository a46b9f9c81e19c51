# SPDX-License-Identifier: Apache-2.0
"""All objects of ours in a raw pool, besides the copies themselves."""

import contextlib
from typing import Any

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import ceph
from glance_rawstore import cluster_slots
from glance_rawstore import crew
from glance_rawstore import downloads
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore import tally
from glance_rawstore import uses

#: Their names.
OBJECTS = (
    attempts.OBJECT,
    budget.OBJECT,
    cluster_slots.OBJECT,
    crew.OBJECT,
    downloads.OBJECT,
    evicted.OBJECT,
    handover.OBJECT,
    orders.OBJECT,
    tally.OBJECT,
    uses.OBJECT,
)


def remove_all(ioctx: Any) -> list[str]:
    """Remove them; accepts "already gone".

    :returns: the names of those that were there
    :raises CephUnavailable: the cluster does not answer
    """
    removed = []
    for name in OBJECTS:
        with contextlib.suppress(exceptions.NotFound), ceph.translated():
            ioctx.remove_object(name)
            removed.append(name)
    return removed
