# SPDX-License-Identifier: Apache-2.0
"""The snapshots of an open RBD image on a Ceph in memory."""

import errno
import uuid
from typing import Any

from tests.fakes import ceph
from tests.fakes.operations import error
from tests.fakes.operations import operation


class Snapshots:
    """Part of ``Image`` of image.py."""

    ioctx: Any
    _image: ceph.Image
    _snapshot: ceph.Snapshot | None

    def _named(self, name: str) -> ceph.Snapshot:
        for snapshot in self._image.snapshots.values():
            if snapshot.name == name and snapshot.original_name is None:
                return snapshot
        raise error(errno.ENOENT, f'no snapshot {name}')

    def _children(self, snapshot: ceph.Snapshot) -> Any:
        return self.ioctx.cluster.children(self._image, snapshot)

    @operation
    def list_snaps(self) -> Any:
        for snapshot in list(self._image.snapshots.values()):
            yield {
                'id': snapshot.number,
                'size': snapshot.size,
                'name': snapshot.name,
                'namespace': 2 if snapshot.original_name else 0,
            }

    @operation
    def create_snap(self, name: str) -> None:
        if any(s.name == name for s in self._image.snapshots.values()):
            raise error(errno.EEXIST, name)
        number = self.ioctx.cluster.new_number()
        self._image.snapshots[number] = ceph.Snapshot(
            number,
            name,
            self._image.size,
            list(self._image.log),
            self._image.parent,
        )

    @operation
    def is_protected_snap(self, name: str) -> bool:
        return self._named(name).protected

    @operation
    def protect_snap(self, name: str) -> None:
        snapshot = self._named(name)
        if snapshot.protected:
            raise error(errno.EBUSY, 'it is protected already')
        snapshot.protected = True

    @operation
    def unprotect_snap(self, name: str) -> None:
        snapshot = self._named(name)
        if not snapshot.protected:
            raise error(errno.EINVAL, 'it is not protected')
        formats = {c.parent.clone_format for _, c in self._children(snapshot)}
        if 1 in formats:
            raise error(errno.EBUSY, 'it has clones')
        snapshot.protected = False

    @operation
    def remove_snap(self, name: str) -> None:
        snapshot = self._named(name)
        if snapshot.protected:
            raise error(errno.EBUSY, 'it is protected')
        if self._children(snapshot):
            snapshot.original_name, snapshot.name = name, str(uuid.uuid4())
        else:
            del self._image.snapshots[snapshot.number]

    @operation
    def remove_snap_by_id(self, number: int) -> None:
        if number not in self._image.snapshots:
            raise error(errno.ENOENT, f'no snapshot {number}')
        snapshot = self._image.snapshots[number]
        if snapshot.protected or self._children(snapshot):
            raise error(errno.EBUSY, 'it has clones')
        del self._image.snapshots[number]

    @operation
    def set_snap_by_id(self, number: int | None) -> None:
        self._snapshot = (
            None if number is None else self._image.snapshots[number]
        )

    @operation
    def set_snap(self, name: str) -> None:
        self._snapshot = self._named(name)

    @operation
    def list_children2(self) -> Any:
        every = list(self._image.snapshots.values())
        for snapshot in [self._snapshot] if self._snapshot else every:
            for pool, child in self._children(snapshot):
                client = self.ioctx.client
                if (client.user, pool.name) in self.ioctx.cluster.forbidden:
                    raise error(errno.EPERM, 'error listing children')
                yield {
                    'pool': pool.name,
                    'image': child.name,
                    'id': child.number,
                    'trash': child.number in pool.trash,
                }
