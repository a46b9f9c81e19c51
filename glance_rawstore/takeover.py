# SPDX-License-Identifier: Apache-2.0
"""Whether another worker makes, or has made, the copy that was ours.

A worker that hung, and is awake again, sees what it was at fail in any way. It
must not take for its own what another one has made meanwhile.
"""

from glance_rawstore import directory
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.lifecycle import raw_copy


def happened(
    pool: raw_pool.RawPool, image_id: str, rbd_id: str, cookie: str
) -> bool:
    """Whether the copy of an image is another worker's.

    Either it goes on with ours, or that is gone and there is another one.

    :param rbd_id: internal id of our RBD image
    :param cookie: of our lease
    :raises CephUnavailable: the cluster does not answer
    """
    worker = resuming.worker(pool, rbd_id)
    if worker is not None:
        return worker != cookie
    names = raw_copy.part_name(image_id), raw_copy.name(image_id)
    found = directory.ids(pool.ioctx, names)
    return any(other != rbd_id for other in found.values())
