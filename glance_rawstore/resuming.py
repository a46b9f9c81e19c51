# SPDX-License-Identifier: Apache-2.0
"""Go on with a ``.part`` where a worker that is gone has left it.

What is done lies in the image-meta of the ``.part``, see :mod:`record`.
Whoever takes the lease over notes that it is the worker now, shuts the former
one and its helpers out, and empties the slices that were being written. What
cannot be read, or does not fit, is not gone on with.
"""

import logging
import time
from collections.abc import Callable

from oslo_utils import units

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import rbd_image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.record import Record

LOG = logging.getLogger(__name__)

#: Seconds for which somebody who deletes a ``.part`` may have it open.
_MOMENT = 1.0
#: Bytes emptied at once, so that it can be stopped: without an object map
#: each object costs an operation, which is half a second for so many bytes
#: (in objects of 8 MiB, seen on 16.2).
_AT_ONCE = 64 * units.Gi


def claim(
    pool: raw_pool.RawPool, image_id: str, rbd_id: str, taken: lease.Lease
) -> None:
    """Note whose the ``.part`` is.

    :raises Cancelled: it was deleted meanwhile
    """
    pool.note(image_id, rbd_id, raw_copy.META_WORKER, taken.cookie)


def worker(pool: raw_pool.RawPool, rbd_id: str) -> str | None:
    """Who has claimed it last, by the lease's cookie; None when it is gone.

    :raises CephUnavailable: the cluster does not answer
    """
    return directory.meta(pool.ioctx, rbd_id, raw_copy.META_WORKER)


def saved(pool: raw_pool.RawPool, rbd_id: str) -> Slices | None:
    """What is done of a ``.part``; None where that cannot be told.

    :raises CephUnavailable: the cluster does not answer
    """
    text = directory.meta(pool.ioctx, rbd_id, raw_copy.META_SLICES)
    kept = slices.decode(text) if text is not None else None
    header = directory.header(pool.ioctx, rbd_id)
    if kept is None or header is None or header.size != kept.size:
        return None
    if header.snapshots and kept.left():
        return None
    return kept


def take_over(
    pool: raw_pool.RawPool,
    image_id: str,
    rbd_id: str,
    taken: lease.Lease,
    found: Record,
) -> bool:
    """Make the ``.part`` of a worker that is gone ours, if it is of use.

    :param taken: our lease on it
    :param found: ours of it, which knows what is to be converted
    :returns: whether we go on with it; else it is to be begun anew
    :raises Cancelled: it was deleted meanwhile
    """
    kept = saved(pool, rbd_id)
    if kept is None or not found.source or kept.source != found.source:
        return False
    claim(pool, image_id, rbd_id, taken)
    shut_out(pool, image_id)
    # What others have finished until they were shut out counts.
    if saved(pool, rbd_id) is None:
        return False
    found.adopt()
    LOG.info(
        'Image %s: going on with its raw copy at %.0f%%',
        image_id,
        100 * found.todo.part_done(),
    )
    return True


def taken_over(
    pool: raw_pool.RawPool, image_id: str, rbd_id: str, cookie: str
) -> bool:
    """Whether another worker makes, or has made, the copy that was ours.

    Either it goes on with ours, or that is gone and there is another one. A
    worker that hung, and is awake again, sees what it was at fail in any way,
    and must not take for its own what another one has made meanwhile.

    :param rbd_id: internal id of our RBD image
    :param cookie: of our lease
    :raises CephUnavailable: the cluster does not answer
    """
    found = worker(pool, rbd_id)
    if found is not None:
        return found != cookie
    names = raw_copy.part_name(image_id), raw_copy.name(image_id)
    others = directory.ids(pool.ioctx, names)
    return any(other != rbd_id for other in others.values())


def shut_out(pool: raw_pool.RawPool, image_id: str) -> None:
    """Fence who has a ``.part`` open for writing, and keeps it open.

    A worker that could not renew its lease may be alive, and a killed one's
    writes be under way. Who has it open for a moment only, such as somebody
    who deletes it, is left alone.

    :raises Cancelled: it was deleted meanwhile
    """
    name = raw_copy.part_name(image_id)
    try:
        with pool.image(name, read_only=True) as image:
            writers = rbd_image.watchers(image, pool.client)
            if writers:
                time.sleep(_MOMENT)
                rbd_image.fence(image, pool.client, writers)
    except exceptions.NotFound as exc:
        raise exceptions.Cancelled() from exc


def lost(
    pool: raw_pool.RawPool, image_id: str, ours: Record
) -> Exception | None:
    """Why a ``.part`` is not to be written by us any more, if that is known.

    :param ours: what we know of it
    """
    try:
        ours.look()
        if not pool.has_part(image_id, ours.rbd_id):
            return exceptions.Cancelled()
    except (exceptions.Cancelled, exceptions.LeaseLost) as exc:
        return exc  # maybe it is committed by now
    except exceptions.Blocklisted as exc:
        return exc  # the lease runs out, and another takes it
    except exceptions.RawStoreError as exc:
        # Not knowing is no reason to stop; stalling is, elsewhere.
        LOG.info('Cannot tell whether a copy is still there: %s', exc)
    return None


def empty(
    pool: raw_pool.RawPool,
    image_id: str,
    half_done: Slice,
    stop: Callable[[], Exception | None],
) -> None:
    """Let a slice that was being written read as zeros again.

    :param stop: gives a reason to stop, asked now and then
    :raises Cancelled: the ``.part`` was deleted meanwhile
    :raises Exception: what ``stop`` returned
    """
    try:
        with pool.image(raw_copy.part_name(image_id)) as image:
            offset = half_done.offset
            while offset < half_done.end:
                if (why := stop()) is not None:
                    raise why
                length = min(_AT_ONCE, half_done.end - offset)
                with ceph.translated():
                    image.write_zeroes(offset, length)
                offset += length
    except exceptions.NotFound as exc:
        raise exceptions.Cancelled() from exc
