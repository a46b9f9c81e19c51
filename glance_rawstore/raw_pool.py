# SPDX-License-Identifier: Apache-2.0
"""The moves of a raw copy in Ceph. Each can be repeated after a crash.

======== ==========================================================
begin    nothing -> ``.part``
commit   ``.part`` -> snapshot, protect, rename -> ``<image_id>_raw``
======== ==========================================================

and those of :mod:`glance_rawstore.removal`.
"""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import rbd_image
from glance_rawstore import torn
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.removal import Removal

#: The object in which librbd lists what is in the trash (RBD_TRASH in Ceph's
#: include/rbd_types.h).
_TRASH = 'rbd_trash'


class RawPool(Removal):
    """The raw pool of one store."""

    def url(self, image_id: str) -> str:
        """URL of the location of a copy, which need not be there."""
        return raw_copy.url(str(self.client.get_fsid()), self.name, image_id)

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

    def clonable(self, image_id: str) -> bool:
        """Whether an active copy has the snapshot that consumers clone.

        Only somebody else's hand takes it away.

        :raises NotFound: there is no active copy
        """
        with self.image(raw_copy.name(image_id), read_only=True) as image:
            return raw_copy.SNAPSHOT in rbd_image.snapshots(image)

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

        :param percent: whole percents, 0 to 100
        :raises Cancelled: it was deleted meanwhile, or is another's
        """
        self.note(image_id, rbd_id, raw_copy.META_PROGRESS, str(percent))

    def note(self, image_id: str, rbd_id: str, key: str, value: str) -> None:
        """Set image-meta of a ``.part``.

        Written as librbd would, but without opening the image: that makes
        every client that has it open refresh, and a librbd whose operations
        time out while it opens one may take its whole process with it.

        :raises Cancelled: it was deleted meanwhile, or is another's
        """
        part = raw_copy.part_name(image_id)
        if directory.id_of(self.ioctx, part) != rbd_id:
            raise exceptions.Cancelled()
        directory.set_meta(self.ioctx, rbd_id, key, value)

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
                self._note_writers(image)
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
                    rbd_image.protect(image)
                    # Not before: who finds it now need not convert again.
                    for key in (raw_copy.META_PROGRESS, raw_copy.META_SLICES):
                        with contextlib.suppress(KeyError):  # never written
                            image.metadata_remove(key)
                    now = f'{time.time():.6f}'
                    image.metadata_set(raw_copy.META_COMMITTED, now)
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
