# SPDX-License-Identifier: Apache-2.0
"""Read what copies there are, and reap those that nothing uses any more."""

import contextlib
import dataclasses
import datetime
import logging
from collections.abc import Iterable, Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import rbd_image
from glance_rawstore import rbd_pool
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle import states

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Reaped:
    """What one reap did.

    :param gone: image ids of the copies that were removed
    :param in_use: image ids of those that clones or a writer still use
    :param freed: bytes that the removed copies had used
    :param damaged: those that cannot be opened, and stay
    """

    gone: tuple[str, ...]
    in_use: tuple[str, ...]
    freed: int
    damaged: tuple[raw_copy.RawCopy, ...] = ()


def _epoch(moment: datetime.datetime) -> float:
    """Seconds since the epoch; librbd gives naive times in UTC."""
    return moment.replace(tzinfo=datetime.UTC).timestamp()


@dataclasses.dataclass(frozen=True)
class Listed:
    """A copy as the lists of its pool have it.

    :param rbd_id: internal id of its RBD image
    :param name: of its RBD image; in the trash, the one that it had
    :param part: whether it is a ``.part``
    :param deleted: when it was moved to the trash, in seconds since the
        epoch; None for what is not there
    """

    rbd_id: str
    image_id: str
    name: str
    part: bool
    deleted: float | None = None


@dataclasses.dataclass(frozen=True)
class Listing:
    """The copies in a pool and in its trash; all else there is not ours.

    What is in the trash and keeps its name, only because somebody was killed
    who moved it there, is not ``present``.
    """

    present: tuple[Listed, ...]
    trashed: tuple[Listed, ...]

    @property
    def active(self) -> list[Listed]:
        """Those that are committed."""
        return [copy for copy in self.present if not copy.part]

    @property
    def parts(self) -> list[Listed]:
        """Those that were begun."""
        return [copy for copy in self.present if copy.part]


def listing(pool: rbd_pool.RbdPool) -> Listing:
    """What the pool's list and, looked at later, its trash have.

    :raises CephUnavailable: the cluster does not answer
    """
    with ceph.translated():
        present = list(ceph.rbd.RBD().list2(pool.ioctx))
        trash = list(ceph.rbd.RBD().trash_list(pool.ioctx))
    gone = {entry['id'] for entry in trash}
    there = [entry for entry in present if entry['id'] not in gone]
    return Listing(tuple(_listed(there)), tuple(_listed(trash)))


def _listed(entries: Iterable[dict[str, Any]]) -> Iterator[Listed]:
    for entry in entries:
        parsed = raw_copy.parse(entry['name'])
        if parsed is not None:
            moved = entry.get('deletion_time')
            deleted = None if moved is None else _epoch(moved)
            yield Listed(
                entry['id'], parsed[0], entry['name'], parsed[1], deleted
            )


def trashed(pool: raw_pool.RawPool) -> list[Listed]:
    """The copies in the RBD trash; other entries there are not ours.

    :raises CephUnavailable: the cluster does not answer
    """
    with ceph.translated():
        return list(_listed(ceph.rbd.RBD().trash_list(pool.ioctx)))


def copies(pool: raw_pool.RawPool) -> Iterator[raw_copy.RawCopy]:
    """Every copy in the pool and its trash, one by one as it is read."""
    for copy in listing(pool).present:
        yield from _described(pool, copy)
    for copy in trashed(pool):
        yield from _described(pool, copy)


def all_images(pool: raw_pool.RawPool) -> list[str]:
    """Ids of the images that have a copy, active or being made."""
    return list(dict.fromkeys(c.image_id for c in listing(pool).present))


def active_images(pool: raw_pool.RawPool) -> list[str]:
    """Ids of the images that have an active copy."""
    return [copy.image_id for copy in listing(pool).active]


def of_image(pool: raw_pool.RawPool, image_id: str) -> list[raw_copy.RawCopy]:
    """The copies of one image: the present one and those in the trash."""
    present = (
        Listed('', image_id, raw_copy.name(image_id), part=False),
        Listed('', image_id, raw_copy.part_name(image_id), part=True),
    )
    found = [each for copy in present for each in _described(pool, copy)]
    for copy in trashed(pool):
        if copy.image_id == image_id:
            found += _described(pool, copy)
    return found


def _described(
    pool: raw_pool.RawPool, copy: Listed
) -> Iterator[raw_copy.RawCopy]:
    """Read one copy, by its name if it has one; nothing when it is gone."""
    named = copy.deleted is None
    where = {'name': copy.name} if named else {'image_id': copy.rbd_id}
    try:
        with (
            ceph.translated(),
            ceph.rbd.Image(pool.ioctx, read_only=True, **where) as image,
        ):
            found = _read(pool, copy, image)
    except exceptions.NotFound:
        return
    except exceptions.Damaged as exc:
        found = _damaged(pool, copy, exc)
    yield found


def _status(copy: Listed) -> states.Status:
    part, gone = copy.part, copy.deleted is not None
    final = not (part or gone)
    return states.derive(part=part and not gone, final=final, trashed=gone)


def _damaged(
    pool: raw_pool.RawPool, copy: Listed, exc: exceptions.Damaged
) -> raw_copy.RawCopy:
    """What is known of a copy that cannot be opened."""
    rbd_id = copy.rbd_id or directory.id_of(pool.ioctx, copy.name) or ''
    header = created = None
    with contextlib.suppress(exceptions.Damaged):
        header = directory.header(pool.ioctx, rbd_id)
        created = directory.created(pool.ioctx, rbd_id)
    return raw_copy.RawCopy(
        image_id=copy.image_id,
        pool=pool.name,
        status=_status(copy),
        virtual_size=header.size if header else None,
        bytes_used=header.bytes_used if header else None,
        children=None,
        created=created,
        rbd_name=copy.name,
        rbd_id=rbd_id,
        damaged=exc.detail,
    )


def _read(
    pool: raw_pool.RawPool, copy: Listed, image: Any
) -> raw_copy.RawCopy:
    meta, status = dict(image.metadata_list()), _status(copy)
    pending = status is states.Status.PENDING
    return raw_copy.RawCopy(
        image_id=copy.image_id,
        pool=pool.name,
        status=status,
        virtual_size=image.size(),
        bytes_used=_used(image, meta, pending),
        children=rbd_image.children(image),
        created=_epoch(image.create_timestamp()),
        rbd_name=copy.name,
        rbd_id=image.id(),
        source_format=meta.get(raw_copy.META_SOURCE_FORMAT),
        making=_making(pool, image.id(), meta) if pending else None,
    )


def _making(
    pool: raw_pool.RawPool, rbd_id: str, meta: dict[str, str]
) -> raw_copy.Making:
    """How far a ``.part`` is."""
    leased = lease.held(pool.ioctx, rbd_id)
    noted = meta.get(raw_copy.META_PROGRESS, '')
    progress = int(noted) if noted.isdecimal() else None
    kept = slices.decode(meta.get(raw_copy.META_SLICES, ''))
    if kept is None or not kept.source:
        return raw_copy.Making(leased, progress=progress)
    return raw_copy.Making(leased, len(kept.slices), kept.done, progress)


def _used(image: Any, meta: dict[str, str], pending: bool) -> int | None:
    """Bytes used: noted at the commit, counted while being written."""
    noted = meta.get(raw_copy.META_BYTES_USED, '')
    if noted.isdecimal():
        return int(noted)
    return rbd_image.bytes_used(image) if pending else None


def _purged(pool: raw_pool.RawPool, copy: Listed) -> bool:
    try:
        return pool.purge(copy.rbd_id)
    except (exceptions.Damaged, exceptions.Blocklisted):
        raise
    except exceptions.CephUnavailable as exc:
        # One that somebody deferred, say.
        LOG.warning('The copy %s was not reaped: %s', copy.name, exc.in_full)
        return False


def reap(pool: raw_pool.RawPool) -> Reaped:
    """Remove the trashed copies that nothing uses any more.

    Costs as many operations as there are trashed copies. What is not named
    like a copy is left alone, so that ``rbd trash`` can be used for other
    things in the pool. One that cannot be opened does not keep the others.

    :raises CephUnavailable: the cluster does not answer
    """
    gone, in_use, freed, damaged = [], [], 0, []
    for copy in trashed(pool):
        try:
            # As most are; to see that takes half of trying to remove them.
            if pool.in_use(copy.rbd_id):
                in_use.append(copy.image_id)
                continue
            header = directory.header(pool.ioctx, copy.rbd_id)
            if _purged(pool, copy):
                gone.append(copy.image_id)
                freed += (header.bytes_used or 0) if header else 0
            else:
                in_use.append(copy.image_id)
        except exceptions.Damaged as exc:
            damaged.append(_damaged(pool, copy, exc))
    return Reaped(tuple(gone), tuple(in_use), freed, tuple(damaged))
