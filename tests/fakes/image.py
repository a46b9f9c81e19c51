# SPDX-License-Identifier: Apache-2.0
"""An open RBD image on a Ceph in memory: ``rbd.Image`` of rbd.py."""

import datetime
import errno
from collections.abc import Callable
from typing import Any

from tests.fakes import ceph
from tests.fakes.operations import check_readable
from tests.fakes.operations import error
from tests.fakes.operations import grow
from tests.fakes.operations import operation
from tests.fakes.snapshots import Snapshots

_MAP_FLAGS = 3  # object map and fast diff are invalid
_MAP_FEATURES = 8 | 16


class Image(Snapshots):
    """An open image."""

    def __init__(
        self,
        ioctx: Any,
        name: str | None = None,
        snapshot: str | None = None,
        read_only: bool = False,
        image_id: str | None = None,
    ) -> None:
        self.ioctx = ioctx
        self._image = self._find(name, image_id)
        check_readable(self._image)
        self._snapshot = self._named(snapshot) if snapshot else None
        self._read_only = read_only or snapshot is not None
        self._watch = None
        if not self._read_only:
            cookie = ioctx.cluster.new_number()
            client = ioctx.client
            self._watch = ceph.Watch(client.address, client.number, cookie)
            self._image.watches.append(self._watch)

    @operation
    def _find(self, name: str | None, image_id: str | None) -> ceph.Image:
        pool = self.ioctx.pool
        if name is not None and name in pool.images:
            return pool.images[name]
        for image in pool.every_image():
            if image_id is not None and image.number == image_id:
                return image
        raise error(errno.ENOENT, f'error opening {name or image_id}')

    def __enter__(self) -> 'Image':
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def close(self) -> None:
        if self._watch in self._image.watches:
            self._image.watches.remove(self._watch)

    # What it is

    def id(self) -> str:
        return self._image.number

    def size(self) -> int:
        return (self._snapshot or self._image).size

    def stat(self) -> dict[str, int]:
        return {'size': self.size()}

    def features(self) -> int:
        return self._image.features

    def flags(self) -> int:
        return self._image.flags

    def create_timestamp(self) -> datetime.datetime:
        moment = datetime.datetime.fromtimestamp(
            self._image.created, datetime.UTC
        )
        return moment.replace(tzinfo=None)

    @operation
    def metadata_list(self) -> Any:
        return iter(sorted(self._image.meta.items()))

    @operation
    def metadata_set(self, key: str, value: str) -> None:
        if self._read_only:
            raise error(errno.EROFS, 'opened read-only')
        self._image.meta[key] = value

    @operation
    def metadata_remove(self, key: str) -> None:
        del self._image.meta[key]  # KeyError, as the binding raises it

    @operation
    def watchers_list(self) -> Any:
        return iter(
            {
                'addr': watch.address,
                'id': watch.number,
                'cookie': watch.cookie,
            }
            for watch in self.ioctx.cluster.watches(self._image)
        )

    @operation
    def update_features(self, features: int, enabled: bool) -> None:
        if enabled and not features & ~self._image.features:
            raise error(errno.EINVAL, 'they are enabled already')
        self._image.features |= features
        if features & _MAP_FEATURES:
            self._image.flags |= _MAP_FLAGS

    @operation
    def rebuild_object_map(self) -> None:
        grow(self.ioctx)
        self._image.flags &= ~_MAP_FLAGS

    # Its data

    @operation
    def resize(self, size: int) -> None:
        self._image.log = [
            (at, data[: max(0, size - at)]) for at, data in self._image.log
        ]
        self._image.size = size

    @operation
    def read(self, offset: int, length: int) -> bytes:
        if offset >= self.size():
            raise error(errno.EINVAL, 'beyond the end')
        of = self._snapshot or self._image
        return ceph.data(of.log, of.parent, of.size, offset, length)

    @operation
    def write(self, data: bytes, offset: int) -> int:
        if self._read_only:
            raise error(errno.EROFS, 'opened read-only')
        if offset + len(data) > self._image.size:
            raise error(errno.EINVAL, 'beyond the end')
        grow(self.ioctx)
        self._image.log.append((offset, bytes(data)))
        return len(data)

    @operation
    def write_zeroes(self, offset: int, length: int) -> None:
        if self._read_only:
            raise error(errno.EROFS, 'opened read-only')
        end, kept = offset + length, []
        for at, data in self._image.log:
            kept.append((at, data[: max(0, offset - at)]))
            kept.append((max(at, end), data[max(0, end - at) :]))
        self._image.log = [(at, data) for at, data in kept if data]

    @operation
    def flatten(self) -> None:
        self._image.log[:0] = ceph.inherited(self._image.parent)
        self.ioctx.cluster.detach(self._image)

    @operation
    def diff_iterate(
        self,
        offset: int,
        length: int,
        from_snapshot: str | None,
        iterate_cb: Callable[[int, int, bool], None],
        include_parent: bool = True,
        whole_object: bool = False,
    ) -> None:
        step = 1 << self._image.order if whole_object else 1
        log = (self._snapshot or self._image).log
        for low, high in ceph.extents(log, step, offset, offset + length):
            iterate_cb(low, high - low, True)
