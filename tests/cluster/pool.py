# SPDX-License-Identifier: Apache-2.0
"""Empty a pool of RBD images quickly, whatever state they are in.

rbd itself removes an image only after its snapshots, clones, locks and
watchers are gone, and asks for each object the image could have: seconds for
a large one however empty. Here the objects that do exist are removed, and
with them all that RBD keeps of an image.
"""

from __future__ import annotations

from collections.abc import Iterator

import rados
import tenacity

from tests.waiting import DEADLINE

# kept, since it only says that the pool is initialised for RBD
POOL_MARK = 'rbd_info'
# Omap keys of an image's header, one for each of its snapshots; followed by
# the snapshot's id in hexadecimal (librbd, src/cls/rbd/cls_rbd.cc).
HEADER = 'rbd_header.'
SNAPSHOT_KEY = 'snapshot_'


def empty(ioctx: rados.Ioctx) -> None:
    """Remove every image, snapshot, clone, trash entry and other object.

    Clones of these images in other pools are left without their parent:
    empty those pools too.

    :raises tenacity.RetryError: if something is still there after a while
    """
    # What a removed snapshot held is listed until the OSD has trimmed it,
    # which takes a second for 1 GiB.
    tenacity.Retrying(
        retry=tenacity.retry_if_result(bool),
        stop=tenacity.stop_after_delay(DEADLINE),
        wait=tenacity.wait_fixed(0.1),
    )(_remove_listed, ioctx)


def _remove_listed(ioctx: rados.Ioctx) -> int:
    """Remove what is listed; return how many objects that were."""
    ioctx.set_namespace(rados.LIBRADOS_ALL_NSPACES)
    objects = [(found.nspace, found.key) for found in ioctx.list_objects()]
    removals = []
    for namespace, name in objects:
        ioctx.set_namespace(namespace)
        if name.startswith(HEADER):
            # A snapshot that no header names any more would hold its data
            # in the pool for ever.
            for snapshot in list(_snapshots(ioctx, name)):
                ioctx.remove_self_managed_snap(snapshot)
        if name != POOL_MARK:
            removals.append(ioctx.aio_remove(name))
    for removal in removals:
        removal.wait_for_complete_and_cb()
    return len(removals)


def _snapshots(ioctx: rados.Ioctx, header: str) -> Iterator[int]:
    """Give the ids of an image's snapshots."""
    with rados.ReadOpCtx() as operation:
        # 1000 is more than any test makes.
        keys, _ = ioctx.get_omap_keys(operation, SNAPSHOT_KEY, 1000)
        ioctx.operate_read_op(operation, header)
        for key, _ in keys:
            if key.startswith(SNAPSHOT_KEY):
                yield int(key.removeprefix(SNAPSHOT_KEY), 16)
