# SPDX-License-Identifier: Apache-2.0
"""Go on with a ``.part`` where a worker that is gone has left it.

What is done lies in the image-meta of the ``.part``: its slices, those done,
and what they are made from. Whoever takes the lease over notes that it is the
worker now, shuts the former one out, and empties the slice that was being
written. What cannot be read, or does not fit, is not gone on with.
"""

import dataclasses
import logging
import threading
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


def save(
    pool: raw_pool.RawPool, image_id: str, rbd_id: str, kept: Slices
) -> None:
    """Keep what is done with the ``.part``.

    :raises Cancelled: it was deleted meanwhile
    """
    pool.note(image_id, rbd_id, raw_copy.META_SLICES, slices.encode(kept))


class Record:
    """What is done of one ``.part``, as it is kept with it.

    :param source: tells the original from any other; empty where nobody
        shall go on with it
    :param slices: what a former worker has kept; None of a new one

    :ivar slices: what is done; None until it has been measured
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        image_id: str,
        rbd_id: str,
        source: str,
        slices: Slices | None,
    ) -> None:
        self._pool = pool
        self._image_id = image_id
        self._rbd_id = rbd_id
        self._lock = threading.Lock()
        self.source = source
        self.slices = slices

    @property
    def todo(self) -> Slices:
        """What is done and what is left, once it has been measured."""
        if self.slices is None:
            raise RuntimeError('It has not been measured.')
        return self.slices

    def keep(self) -> None:
        """Keep it as it is now.

        :raises Cancelled: the ``.part`` was deleted meanwhile
        """
        # Two threads do, and the last one must keep what both have to say.
        with self._lock:
            known = dataclasses.replace(self.todo, source=self.source)
            save(self._pool, self._image_id, self._rbd_id, known)

    def try_to_keep(self) -> None:
        """The same, when it is no harm if the cluster does not answer."""
        try:
            self.keep()
        except exceptions.CephUnavailable as exc:
            LOG.warning('What is done of a copy was not noted: %s', exc)

    def identify(self, source: str) -> None:
        """Tell what it is made from, once that is known.

        From then on another worker can go on with it.

        :raises Cancelled: the ``.part`` was deleted meanwhile
        """
        self.source = source
        if self.slices is not None:
            self.try_to_keep()


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
    source: str,
) -> Slices | None:
    """Make the ``.part`` of a worker that is gone ours, if it is of use.

    :param taken: our lease on it
    :param source: what is to be converted; empty where that is not known
    :returns: what is done, or None when it is to be begun anew
    :raises Cancelled: it was deleted meanwhile
    """
    kept = saved(pool, rbd_id)
    if kept is None or not source or kept.source != source:
        return None
    claim(pool, image_id, rbd_id, taken)
    _shut_out(pool, image_id)
    # What the former worker has finished until it was shut out counts.
    kept = saved(pool, rbd_id)
    if kept is not None:
        LOG.info(
            'Image %s: going on with its raw copy at %.0f%%',
            image_id,
            100 * kept.part_done(),
        )
    return kept


def _shut_out(pool: raw_pool.RawPool, image_id: str) -> None:
    """Fence who has a ``.part`` open for writing, and keeps it open.

    A worker that could not renew its lease may be alive, and a killed one's
    writes be under way. Who has it open for a moment only, such as somebody
    who deletes it, is left alone.
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
