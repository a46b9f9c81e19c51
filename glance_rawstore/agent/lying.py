# SPDX-License-Identifier: Apache-2.0
"""What lies in one raw pool of an image: copy, ``.part``, and in the trash."""

import collections
import dataclasses

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import rbd_image
from glance_rawstore import resuming
from glance_rawstore.agent.facts import Copy
from glance_rawstore.agent.facts import Part
from glance_rawstore.agent.facts import Trashed
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.evicted import Evicted


@dataclasses.dataclass
class Found:
    """What a listing of the raw pool has of one image."""

    copy: bool = False
    part: bool = False
    trashed: tuple[str, ...] = ()


def listing(pool: raw_pool.RawPool) -> dict[str, Found]:
    """What is in the raw pool and named like a copy, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    found: dict[str, Found] = collections.defaultdict(Found)
    listed = inventory.listing(pool)
    for copy in listed.present:
        here = found[copy.image_id]
        here.part = here.part or copy.part
        here.copy = here.copy or not copy.part
    for copy in listed.trashed:
        found[copy.image_id].trashed += (copy.rbd_id,)
    return found


def copy_of(
    pool: raw_pool.RawPool, image_id: str, noted: Evicted | None
) -> Copy | None:
    """The committed copy of an image, if it has one.

    :param noted: an eviction of it
    :raises Damaged: it cannot be opened
    :raises CephUnavailable: the cluster does not answer
    """
    try:
        with pool.image(raw_copy.name(image_id), read_only=True) as image:
            meta = dict(image.metadata_list())
            return Copy(
                str(image.id()),
                raw_copy.META_BY_WISH in meta,
                in_use=noted is not None and rbd_image.children(image) != (),
            )
    except exceptions.NotFound:
        return None


def part_of(pool: raw_pool.RawPool, image_id: str) -> Part | None:
    """The ``.part`` of an image, if it has one.

    :raises RawStoreError: as :func:`copy_of`
    """
    try:
        with pool.image(raw_copy.part_name(image_id), read_only=True) as image:
            rbd_id = str(image.id())
            snapshots = rbd_image.snapshots(image)
            meta = dict(image.metadata_list())
    except exceptions.NotFound:
        return None
    return Part(
        rbd_id,
        leased=lease.held(pool.ioctx, rbd_id),
        whole=raw_copy.SNAPSHOT in snapshots,
        by_wish=raw_copy.META_BY_WISH in meta,
        resumable=resuming.saved(pool, rbd_id) is not None,
        untaken=None
        if snapshots or raw_copy.META_WORKER in meta
        else directory.created(pool.ioctx, rbd_id),
    )


def trashed(pool: raw_pool.RawPool, rbd_id: str) -> Trashed:
    """A copy in the trash.

    :raises CephUnavailable: the cluster does not answer
    """
    try:
        return Trashed(rbd_id, pool.in_use(rbd_id))
    except exceptions.Damaged:
        return Trashed(rbd_id, in_use=True)  # the reaper tells of it


def damaged(
    pool: raw_pool.RawPool, image_id: str
) -> tuple[raw_copy.RawCopy, ...]:
    """The copies of an image that cannot be opened.

    :raises CephUnavailable: the cluster does not answer
    """
    found = inventory.of_image(pool, image_id)
    return tuple(copy for copy in found if copy.damaged)
