# SPDX-License-Identifier: Apache-2.0
"""How raw copies go from their pool. Each move can be repeated.

======== ==========================================================
delete   either -> RBD trash; gone at once unless clones are alive
         (``delete_one``: the committed one that is named, no other)
discard  our ``.part`` -> gone, though its writer was killed
purge    a trashed copy -> gone, when its last clone is
======== ==========================================================

Delete begins with the move to the trash, under both clone formats: it takes
the name away atomically, so a commit that races with it loses at its rename,
and nothing can clone any more. It works while the image is being written.
"""

import contextlib
import logging
import time
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import rbd_image
from glance_rawstore import torn
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.rbd_pool import RbdPool

LOG = logging.getLogger(__name__)


class Removal(RbdPool):
    """A pool from which copies can be removed."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        #: Addresses of the clients seen writing a ``.part`` of ours.
        self._writers: set[str] = set()

    def _note_writers(self, image: Any) -> None:
        self._writers |= rbd_image.watchers(image, self.client)

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

    def delete_one(self, image_id: str, rbd_id: str) -> bool:
        """Delete that committed copy of an image, and no other.

        :param rbd_id: its internal id; it may be in the trash already
        :returns: as :meth:`delete`; True as well when it was gone already
        :raises CephUnavailable: the cluster does not answer
        """
        name = raw_copy.name(image_id)
        if self._named(name) == rbd_id:
            self._trash(name)
        return self.purge(rbd_id)

    def _named(self, name: str) -> str | None:
        # A move to the trash in whose middle a client was killed leaves a
        # name in the directory alone; moving again puts that right.
        return self.rbd_id(name) or directory.id_of(self.ioctx, name)

    def _trash(self, name: str) -> str | None:
        rbd_id = self._named(name)
        if rbd_id is None:
            return None
        self._leave_trace(name)
        try:
            with ceph.translated():
                self._rbd.trash_move(self.ioctx, name, 0)
        except exceptions.NotFound:
            return None
        return rbd_id

    def _leave_trace(self, name: str) -> None:
        """Tell the raw view, if somebody may have been shown that image."""
        image_id = raw_copy.copy_of(name)
        if image_id is None:
            return
        # A full pool must not keep copies from going.
        with contextlib.suppress(exceptions.NoSpace):
            evicted.leave_trace(self.ioctx, image_id, time.time())

    def in_use(self, rbd_id: str) -> bool:
        """Whether clones need an RBD image, which may be in the trash.

        :param rbd_id: its internal id
        :returns: False as well when it is gone
        :raises CephUnavailable: the cluster does not answer
        """
        try:
            with (
                ceph.translated(),
                ceph.rbd.Image(
                    self.ioctx, image_id=rbd_id, read_only=True
                ) as image,
            ):
                return rbd_image.children(image) != ()
        except exceptions.NotFound:
            return False

    def purge(self, rbd_id: str) -> bool:
        """Remove a trashed copy unless something still uses it.

        :param rbd_id: internal id of the RBD image
        :returns: True when it is gone, or not in the trash, False while it
            is in use, or another client removes it
        :raises CephUnavailable: the cluster does not answer
        """
        try:
            with ceph.translated():
                # By id, a copy that is not in the trash would open as well.
                self._rbd.trash_get(self.ioctx, rbd_id)
            with lease.removing(self.ioctx, rbd_id):
                return self._remove(rbd_id)
        except exceptions.LeaseHeld:
            return False
        except exceptions.NotFound:
            self._remove_entry(rbd_id)
            return True

    def _remove(self, rbd_id: str) -> bool:
        rbd = ceph.rbd
        with ceph.translated():
            try:
                with rbd.Image(self.ioctx, image_id=rbd_id) as image:
                    # Under clone format 2 a snapshot with clones would go to
                    # a trash of its own, and whoever removes the last clone
                    # would log errors, having no rights to remove that.
                    if rbd_image.children(image) != ():
                        return False
                    rbd_image.remove_snapshots(image)
                self._rbd.trash_remove(self.ioctx, rbd_id)
            except (rbd.ImageBusy, rbd.ImageHasSnapshots):
                return False
        return True

    def _remove_entry(self, rbd_id: str) -> None:
        """Remove what the trash has of an image that is gone, if anything.

        librbd removes that last, so who is killed before leaves it.
        """
        with contextlib.suppress(exceptions.NotFound), ceph.translated():
            self._rbd.trash_remove(self.ioctx, rbd_id)

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
