# SPDX-License-Identifier: Apache-2.0
"""Begin a copy, or go on with one whose worker is gone.

What the import's background flow and the driver's ``add`` have in common,
with :mod:`glance_rawstore.part`.
"""

import contextlib

from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.options import Options
from glance_rawstore.part import Part


def _take(
    pool: raw_pool.RawPool, rbd_id: str, options: Options
) -> lease.Lease:
    taken = lease.Lease(pool.ioctx, rbd_id, options.lease_duration)
    taken.acquire()
    return taken


def clear_dead(
    pool: raw_pool.RawPool, image_id: str, options: Options
) -> None:
    """Remove a ``.part`` on which nobody holds the lease any more.

    :raises LeaseHeld: a living worker has it
    """
    _take_over(pool, image_id, options, '')


def _take_over(
    pool: raw_pool.RawPool, image_id: str, options: Options, source: str
) -> Part | None:
    """Go on with a ``.part`` that nobody holds the lease of, or remove it.

    :raises LeaseHeld: a living worker has it
    """
    rbd_id = pool.rbd_id(raw_copy.part_name(image_id))
    if rbd_id is None:
        return None
    gone = (exceptions.NotFound, exceptions.Cancelled)
    with contextlib.suppress(*gone), contextlib.ExitStack() as stack:
        taken = _take(pool, rbd_id, options)
        stack.callback(taken.release)
        part = Part(pool, image_id, rbd_id, taken, options, source)
        if part.take_over():
            stack.pop_all()
            return part
        # It may have been committed since; this notes who writes it, too.
        if pool.has_part(image_id, rbd_id):
            pool.discard(image_id, rbd_id)
    return None


def reserve(
    pool: raw_pool.RawPool, image_id: str, options: Options, source: str = ''
) -> Part:
    """Create the ``.part`` and take the lease on it.

    It has no size until the original has been inspected: librbd would take
    for ever to remove an image of the 4 EiB that a header may name. Takes
    over from a dead worker: goes on with what that one left, or removes it.

    :param source: tells the original from any other; empty where it is not
        known, so that what is begun can never be gone on with
    :raises LeaseHeld: a living worker is making this copy
    :raises CopyExists: it is made already
    """
    try:
        rbd_id = pool.begin(image_id, 0, options.object_size)
    except exceptions.LeaseHeld:
        part = _take_over(pool, image_id, options, source)
        if part is not None:
            return part
        rbd_id = pool.begin(image_id, 0, options.object_size)
    try:
        taken = _take(pool, rbd_id, options)
    except exceptions.LeaseHeld:
        raise  # another began anew under the name, so it is not ours
    except exceptions.NotFound as exc:
        # Another worker found it without a lease yet, and began anew.
        raise exceptions.LeaseHeld() from exc
    except BaseException:
        pool.discard(image_id, rbd_id)
        raise
    part = Part(pool, image_id, rbd_id, taken, options, source)
    try:
        resuming.claim(pool, image_id, rbd_id, taken)
    except BaseException:
        try:
            pool.discard(image_id, rbd_id)
        finally:
            part.release()  # or it would be renewed for ever
        raise
    return part
