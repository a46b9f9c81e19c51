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
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import rbd_image
from glance_rawstore import torn
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states

LOG = logging.getLogger(__name__)

#: The object in which librbd lists what is in the trash (RBD_TRASH in Ceph's
#: include/rbd_types.h).
_TRASH = 'rbd_trash'


class RawPool:
    """The raw pool of one store.

    :param client: connected ``rados.Rados``
    :param ioctx: open ``rados.Ioctx`` of the pool
    """

    def __init__(self, client: Any, ioctx: Any) -> None:
        self.client = client
        self.ioctx = ioctx
        self._rbd = ceph.rbd.RBD()
        #: Addresses of the clients seen writing a ``.part`` of ours.
        self._writers: set[str] = set()

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

    @contextlib.contextmanager
    def image(self, name: str, **kwargs: Any) -> Iterator[Any]:
        """Open an RBD image; ``kwargs`` as for ``rbd.Image``.

        :raises NotFound: there is none of that name
        :raises CephUnavailable: the cluster does not answer
        """
        with (
            ceph.translated(),
            ceph.rbd.Image(self.ioctx, name, **kwargs) as image,
        ):
            yield image

    def size(self, image_id: str) -> int:
        """Virtual size in bytes of a copy, committed or being made.

        :raises NotFound: there is neither
        """
        for name in (raw_copy.name(image_id), raw_copy.part_name(image_id)):
            with (
                contextlib.suppress(exceptions.NotFound),
                self.image(name, read_only=True) as image,
            ):
                return int(image.size())
        raise exceptions.NotFound()

    def rbd_id(self, name: str) -> str | None:
        """Internal id of the image with that name, or None without one."""
        return torn.rbd_id(self.ioctx, name)

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
            raise exceptions.CopyExists()
        name = raw_copy.part_name(image_id)
        try:
            with ceph.translated():
                # A pool that has become full has no room for a first trash.
                self.ioctx.append(_TRASH, b'')
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
            raise exceptions.LeaseHeld() from exc
        with self.image(name, read_only=True) as image:
            return str(image.id())

    def resize(self, image_id: str, rbd_id: str, size: int) -> None:
        """Give a ``.part`` its exact virtual size, in bytes.

        :raises Cancelled: it was deleted meanwhile, or is another's
        """
        with self._part(image_id, rbd_id) as image:
            if image.size() != size:
                image.resize(size)

    def set_progress(self, image_id: str, rbd_id: str, percent: int) -> None:
        """Note on a ``.part`` how far it is, for whoever looks.

        Written as librbd would, but without opening the image: that makes
        every client that has it open refresh, and a librbd whose operations
        time out while it opens one may take its whole process with it.

        :param percent: whole percents, 0 to 100
        :raises Cancelled: it was deleted meanwhile, or is another's
        """
        part = raw_copy.part_name(image_id)
        if directory.ids(self.ioctx, [part]).get(part) != rbd_id:
            raise exceptions.Cancelled()
        directory.set_meta(
            self.ioctx, rbd_id, raw_copy.META_PROGRESS, str(percent)
        )

    @contextlib.contextmanager
    def _part(self, image_id: str, rbd_id: str) -> Iterator[Any]:
        """Open our ``.part``, and not one that another began since."""
        gone = exceptions.Cancelled()
        try:
            with self.image(raw_copy.part_name(image_id)) as image:
                if str(image.id()) != rbd_id:
                    raise gone
                yield image
        except exceptions.NotFound as exc:
            raise gone from exc

    def has_part(self, image_id: str, rbd_id: str) -> bool:
        """Whether the name of the ``.part`` still leads to that image.

        When it does not, the copy was deleted, or taken over. Who else has
        it open is noted as its writer, for :meth:`discard`.
        """
        name = raw_copy.part_name(image_id)
        try:
            with self.image(name, read_only=True) as image:
                if str(image.id()) != rbd_id:
                    return False
                self._writers |= rbd_image.watchers(image, self.client)
        except exceptions.NotFound:
            return False
        return True

    def commit(
        self, image_id: str, rbd_id: str, metadata: dict[str, str]
    ) -> int:
        """Make a written ``.part`` the active copy.

        The object map is built before the snapshot is taken, so that the
        snapshot has one too.

        :param rbd_id: internal id of the RBD image that was begun
        :param metadata: image-meta to keep with the copy
        :returns: bytes that the copy uses
        :raises Cancelled: the copy was deleted meanwhile
        :raises CopyExists: another one was committed meanwhile
        """
        part, final = raw_copy.part_name(image_id), raw_copy.name(image_id)
        if torn.finish_rename(self.ioctx, image_id, rbd_id):
            with self.image(final, read_only=True) as image:
                return rbd_image.bytes_used(image)
        try:
            with ceph.translated():
                with self._part(image_id, rbd_id) as image:
                    rbd_image.add_features(image)
                    used = rbd_image.bytes_used(image)
                    keep = {raw_copy.META_BYTES_USED: str(used), **metadata}
                    for key, value in keep.items():
                        image.metadata_set(key, value)
                    with contextlib.suppress(KeyError):  # never written
                        image.metadata_remove(raw_copy.META_PROGRESS)
                    rbd_image.protect(image)
                self._rbd.rename(self.ioctx, part, final)
        except exceptions.NotFound as exc:
            raise exceptions.Cancelled() from exc
        except exceptions.CephUnavailable as exc:
            if isinstance(exc.__cause__, ceph.rbd.ImageExists):
                raise exceptions.CopyExists() from exc
            raise
        if self.rbd_id(final) != rbd_id:
            raise exceptions.Cancelled()
        return used

    def full(self, rbd_id: str) -> bool:
        """Whether the pool takes no more data, by trying on that image.

        A full pool refuses only what makes it grow, so a byte is appended to
        the image's header object, which librbd does not use the data of.
        """
        try:
            with ceph.translated():
                # appending would create a header that is gone
                self.ioctx.stat(f'rbd_header.{rbd_id}')
                self.ioctx.append(f'rbd_header.{rbd_id}', b'?')
        except exceptions.NoSpace:
            return True
        except exceptions.RawStoreError:
            return False
        return False

    def delete(self, image_id: str) -> bool:
        """Delete the copy of an image, or cancel the one being made.

        :returns: True when nothing is left of it, False while clones or a
            writer keep it in the trash (:meth:`purge` is for later)
        :raises NotFound: there was none
        """
        begun = self.rbd_id(raw_copy.part_name(image_id))
        if begun is not None and not lease.held(self.ioctx, begun):
            torn.finish_rename(self.ioctx, image_id, begun)
        # .part first: a commit in between turns it into the second name.
        names = (raw_copy.part_name(image_id), raw_copy.name(image_id))
        trashed = [rbd_id for n in names if (rbd_id := self._trash(n))]
        if not trashed:
            raise exceptions.NotFound()
        return all([self.purge(rbd_id) for rbd_id in trashed])

    def _trash(self, name: str) -> str | None:
        # A move to the trash in whose middle a client was killed leaves a
        # name in the directory alone; moving again puts that right.
        rbd_id = self.rbd_id(name) or directory.ids(self.ioctx, (name,)).get(
            name
        )
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
        :returns: True when it is gone, or not in the trash, False while it
            is in use
        :raises CephUnavailable: the cluster does not answer
        """
        rbd = ceph.rbd
        with ceph.translated():
            try:
                # By id, a copy that is not in the trash would open as well.
                self._rbd.trash_get(self.ioctx, rbd_id)
                with rbd.Image(self.ioctx, image_id=rbd_id) as image:
                    # Under clone format 2 a snapshot with clones would go to
                    # a trash of its own, and whoever removes the last clone
                    # would log errors, having no rights to remove that.
                    if rbd_image.children(image) != ():
                        return False
                    rbd_image.remove_snapshots(image)
                self._rbd.trash_remove(self.ioctx, rbd_id)
            except rbd.ImageNotFound:
                return True
            except (rbd.ImageBusy, rbd.ImageHasSnapshots):
                return False
        return True

    def discard(
        self, image_id: str, rbd_id: str, patience: float = 0.0
    ) -> None:
        """Remove the ``.part`` that we began and whose writer is dead.

        The watch of a killed qemu-img would keep the image busy for 30 s;
        fencing it (``osd blocklist``, which the cephx profile rbd allows)
        ends that, and any write still under way. Accepts "already gone".

        :param patience: seconds to wait for a writer that was killed before
            it was ever seen
        """
        # A rename that was done may have been reported as failed.
        for name in (raw_copy.part_name(image_id), raw_copy.name(image_id)):
            if self.rbd_id(name) == rbd_id:
                self._trash(name)
        if self.purge(rbd_id):
            return
        self._fence(rbd_id)
        until = time.monotonic() + patience
        while not (gone := self.purge(rbd_id)) and time.monotonic() < until:
            time.sleep(1)
        if not gone:
            LOG.warning(
                'RBD image %s of image %s stays in the trash until nothing '
                'uses it; reap removes it then.',
                rbd_id,
                image_id,
            )

    def available(self) -> int:
        """Bytes that are free in the cluster, before replication.

        :raises CephUnavailable: the cluster does not answer
        """
        with ceph.translated():
            return int(self.client.get_cluster_stats()['kb_avail']) * 1024

    def _fence(self, rbd_id: str) -> None:
        """Fence the writers that were seen; nobody else who looks at it."""
        with (
            contextlib.suppress(exceptions.NotFound),
            ceph.translated(),
            ceph.rbd.Image(
                self.ioctx, image_id=rbd_id, read_only=True
            ) as image,
        ):
            rbd_image.fence(image, self.client, self._writers)
