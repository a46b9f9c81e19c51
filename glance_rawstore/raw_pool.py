# SPDX-License-Identifier: Apache-2.0
"""The moves of a raw copy in Ceph. Each can be repeated after a crash.

======== ==========================================================
begin    nothing -> ``.part``
commit   ``.part`` -> snapshot, protect, rename -> ``<image_id>_raw``
delete   either -> RBD trash; gone at once unless clones are alive
purge    a trashed copy -> gone, when its last clone is
======== ==========================================================

Delete begins with the move to the trash, under both clone formats: it takes
the name away atomically, so a commit that races with it loses at its rename,
and nothing can clone any more. It works while the image is being written.
"""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states

LOG = logging.getLogger(__name__)

#: Seconds that a killed writer stays fenced. Its watch is dropped at once;
#: its process is dead, so it only has to outlast requests under way.
_FENCE = 300


class RawPool:
    """The raw pool of one store.

    :param client: connected ``rados.Rados``
    :param ioctx: open ``rados.Ioctx`` of the pool
    """

    def __init__(self, client: Any, ioctx: Any) -> None:
        self.client = client
        self.ioctx = ioctx
        self._rbd = ceph.rbd.RBD()

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: ceph.Settings) -> 'Iterator[RawPool]':
        """Connect for as long as the context lasts."""
        with ceph.connect(settings) as (client, ioctx):
            # A full pool must refuse at once, not block (and let us delete).
            ioctx.set_osdmap_full_try()
            yield cls(client, ioctx)

    @property
    def name(self) -> str:
        """Name of the pool."""
        return str(self.ioctx.name)

    def image(self, name: str, **kwargs: Any) -> Any:
        """Open an RBD image; ``kwargs`` as for ``rbd.Image``."""
        return ceph.rbd.Image(self.ioctx, name, **kwargs)

    def size(self, image_id: str) -> int:
        """Virtual size in bytes of a copy, committed or being made.

        :raises NotFound: there is neither
        """
        for name in (raw_copy.name(image_id), raw_copy.part_name(image_id)):
            try:
                with self.image(name, read_only=True) as image:
                    return int(image.size())
            except ceph.rbd.ImageNotFound:
                continue
        raise exceptions.NotFound('The raw copy was not found.')

    def rbd_id(self, name: str) -> str | None:
        """Internal id of the image with that name, or None without one."""
        try:
            with self.image(name, read_only=True) as image:
                return str(image.id())
        except ceph.rbd.ImageNotFound:
            return None

    def status(self, image_id: str) -> states.Status:
        """Status of the copy of an image; does not look into the trash."""
        return states.derive(
            part=self.rbd_id(raw_copy.part_name(image_id)) is not None,
            final=self.rbd_id(raw_copy.name(image_id)) is not None,
            trashed=False,
        )

    def begin(self, image_id: str, size: int, object_size: int) -> str:
        """Create the ``.part`` of a copy.

        With the feature layering alone: an exclusive lock makes parallel
        writers wait for each other, and makes everybody wait 30 s for a dead
        one (both seen on 16.2). The rest follows in :meth:`commit`.

        :param size: virtual size in bytes; may be corrected by
            :meth:`resize`
        :param object_size: in bytes, a power of two
        :returns: internal id of the RBD image
        :raises CopyExists: an active copy is there
        :raises LeaseHeld: a ``.part`` is there
        """
        if self.rbd_id(raw_copy.name(image_id)) is not None:
            raise exceptions.CopyExists('The image has a raw copy already.')
        name = raw_copy.part_name(image_id)
        try:
            with ceph.translated():
                self._rbd.create(
                    self.ioctx,
                    name,
                    size,
                    object_size.bit_length() - 1,
                    old_format=False,
                    features=ceph.rbd.RBD_FEATURE_LAYERING,
                )
        except exceptions.CephUnavailable as exc:
            if not isinstance(exc.__cause__, ceph.rbd.ImageExists):
                raise
            raise exceptions.LeaseHeld(
                'A raw copy of the image is being made already.'
            ) from exc
        with ceph.translated(), self.image(name, read_only=True) as image:
            return str(image.id())

    def resize(self, image_id: str, size: int) -> None:
        """Give a ``.part`` its exact virtual size, in bytes."""
        name = raw_copy.part_name(image_id)
        with ceph.translated(), self.image(name) as image:
            if image.size() != size:
                image.resize(size)

    def has_part(self, image_id: str, rbd_id: str) -> bool:
        """Whether the name of the ``.part`` still leads to that image.

        When it does not, the copy was deleted, or taken over.
        """
        with ceph.translated():
            return self.rbd_id(raw_copy.part_name(image_id)) == rbd_id

    def commit(self, image_id: str, metadata: dict[str, str]) -> int:
        """Make a written ``.part`` the active copy.

        The object map, rebuilt before the snapshot is taken, is what makes
        usage and deletion quick: without it removing 2 TiB takes 50 s, with
        it 1 s (seen on 16.2, 2 cores).

        :param metadata: image-meta to keep with the copy
        :returns: bytes that the copy uses
        :raises Cancelled: the copy was deleted meanwhile
        :raises CopyExists: another one was committed meanwhile
        """
        part, final = raw_copy.part_name(image_id), raw_copy.name(image_id)
        try:
            with ceph.translated():
                with self.image(part) as image:
                    self._add_features(image)
                    used = bytes_used(image)
                    keep = {raw_copy.META_BYTES_USED: str(used), **metadata}
                    for key, value in keep.items():
                        image.metadata_set(key, value)
                    self._protect(image)
                self._rbd.rename(self.ioctx, part, final)
        except exceptions.NotFound as exc:
            raise exceptions.Cancelled(
                'The raw copy was deleted while it was being made.'
            ) from exc
        except exceptions.CephUnavailable as exc:
            if isinstance(exc.__cause__, ceph.rbd.ImageExists):
                raise exceptions.CopyExists(
                    'The image has a raw copy already.'
                ) from exc
            raise
        return used

    def full(self, rbd_id: str) -> bool:
        """Whether the pool takes no more data, by trying on that image.

        A full pool refuses only what makes it grow, so a byte is appended to
        the image's header object, which librbd does not use the data of.
        """
        try:
            with ceph.translated():
                self.ioctx.append(f'rbd_header.{rbd_id}', b'?')
        except exceptions.NoSpace:
            return True
        except exceptions.RawStoreError:
            return False
        return False

    @staticmethod
    def _add_features(image: Any) -> None:
        rbd = ceph.rbd
        wanted = (
            rbd.RBD_FEATURE_EXCLUSIVE_LOCK
            | rbd.RBD_FEATURE_OBJECT_MAP
            | rbd.RBD_FEATURE_FAST_DIFF
        )
        missing = wanted & ~image.features()
        if missing:
            image.update_features(missing, True)
        if image.flags() & rbd.RBD_FLAG_OBJECT_MAP_INVALID:
            image.rebuild_object_map()

    @staticmethod
    def _protect(image: Any) -> None:
        names = [snap['name'] for snap in image.list_snaps()]
        if raw_copy.SNAPSHOT not in names:
            image.create_snap(raw_copy.SNAPSHOT)
        if not image.is_protected_snap(raw_copy.SNAPSHOT):
            image.protect_snap(raw_copy.SNAPSHOT)

    def delete(self, image_id: str) -> bool:
        """Delete the copy of an image, or cancel the one being made.

        :returns: True when nothing is left of it, False while clones or a
            writer keep it in the trash (:meth:`purge` is for later)
        :raises NotFound: there was none
        """
        # .part first: a commit in between turns it into the second name.
        names = (raw_copy.part_name(image_id), raw_copy.name(image_id))
        trashed = [rbd_id for n in names if (rbd_id := self._trash(n))]
        if not trashed:
            raise exceptions.NotFound('The raw copy was not found.')
        return all([self.purge(rbd_id) for rbd_id in trashed])

    def _trash(self, name: str) -> str | None:
        rbd_id = self.rbd_id(name)
        if rbd_id is None:
            return None
        try:
            with ceph.translated():
                self._rbd.trash_move(self.ioctx, name, 0)
        except exceptions.NotFound:
            return None
        return rbd_id

    def purge(self, rbd_id: str) -> bool:
        """Remove a trashed copy unless something still uses it.

        :param rbd_id: internal id of the RBD image
        :returns: True when it is gone, False while it is in use
        """
        rbd = ceph.rbd
        try:
            with rbd.Image(self.ioctx, image_id=rbd_id) as image:
                # Under clone format 2 a snapshot with clones would go to a
                # trash of its own, and whoever removes the last clone would
                # log errors, having no rights to remove that.
                if children(image) != ():
                    return False
                for snap in list(image.list_snaps()):
                    self._remove_snapshot(image, snap)
            self._rbd.trash_remove(self.ioctx, rbd_id)
        except rbd.ImageNotFound:
            return True
        except (rbd.ImageBusy, rbd.ImageHasSnapshots):
            return False
        except rbd.Error:
            with ceph.translated():
                raise
        return True

    @staticmethod
    def _remove_snapshot(image: Any, snap: dict[str, Any]) -> None:
        # Somebody else's tool may have put it into the trash of snapshots.
        if snap['namespace'] == ceph.rbd.RBD_SNAP_NAMESPACE_TYPE_TRASH:
            image.remove_snap_by_id(snap['id'])
            return
        if image.is_protected_snap(snap['name']):
            image.unprotect_snap(snap['name'])
        image.remove_snap(snap['name'])

    def discard(self, image_id: str, rbd_id: str) -> None:
        """Remove the ``.part`` that we began and whose writer is dead.

        The watch of a killed qemu-img would keep the image busy for 30 s;
        fencing it (``osd blocklist``, which the cephx profile rbd allows)
        ends that, and any write still under way. Accepts "already gone".
        """
        with contextlib.suppress(exceptions.NotFound):
            if self.has_part(image_id, rbd_id):
                self._trash(raw_copy.part_name(image_id))
        if self.purge(rbd_id):
            return
        self._fence(rbd_id)
        if not self.purge(rbd_id):
            LOG.warning(
                'RBD image %s of image %s stays in the trash until nothing '
                'uses it; reap removes it then.',
                rbd_id,
                image_id,
            )

    def _fence(self, rbd_id: str) -> None:
        rbd = ceph.rbd
        with contextlib.suppress(rbd.ImageNotFound):
            with rbd.Image(
                self.ioctx, image_id=rbd_id, read_only=True
            ) as image:
                addresses = {w['addr'] for w in image.watchers_list()}
            own = self.client.get_addrs()
            for address in addresses:
                if address.split('/')[-1] not in own:
                    self.client.blocklist_add(address, _FENCE)


def children(image: Any) -> tuple[str, ...] | None:
    """The clones of an open RBD image, as ``pool/image``.

    :returns: None when there are clones in pools that this user may not
        read; librbd then refuses, while without clones it never does (seen
        on 16.2 under both clone formats)
    """
    found: list[str] = []
    try:
        for snap in list(image.list_snaps()):
            image.set_snap_by_id(snap['id'])
            for child in image.list_children2():
                found.append(f'{child["pool"]}/{child["image"]}')
    except ceph.rbd.PermissionError:
        return None
    finally:
        image.set_snap_by_id(None)
    return tuple(sorted(found))


def bytes_used(image: Any) -> int:
    """Bytes that are written in an open RBD image.

    Two passes: whole objects from the object map, then exactly within those,
    so that a large empty image costs nothing.
    """
    objects: list[tuple[int, int]] = []
    used = [0]

    def collect(offset: int, length: int, exists: bool) -> None:
        if exists:
            objects.append((offset, length))

    def count(offset: int, length: int, exists: bool) -> None:
        used[0] += length if exists else 0

    image.diff_iterate(
        0, image.size(), None, collect, include_parent=False, whole_object=True
    )
    for offset, length in objects:
        image.diff_iterate(offset, length, None, count, include_parent=False)
    return used[0]
