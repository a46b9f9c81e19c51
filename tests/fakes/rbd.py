# SPDX-License-Identifier: Apache-2.0
"""What the package sees of librbd, on a Ceph in memory."""

import datetime
import errno
from typing import Any

from tests.fakes import bindings
from tests.fakes import ceph
from tests.fakes.image import Image
from tests.fakes.operations import check_readable
from tests.fakes.operations import error
from tests.fakes.operations import grow
from tests.fakes.operations import operation

__all__ = ['RBD', 'Image']

globals().update(bindings.RBD_ERRORS)
globals().update(bindings.RBD_CONSTANTS)


def _take(ioctx: Any, name: str) -> ceph.Image:
    """Take an image's name away."""
    if name not in ioctx.pool.images:
        raise error(errno.ENOENT, name)
    check_readable(ioctx.pool.images[name])
    image: ceph.Image = ioctx.pool.images.pop(name)
    return image


def _check_unused(ioctx: Any, image: ceph.Image) -> None:
    check_readable(image)
    if ioctx.cluster.watches(image):
        raise error(errno.EBUSY, f'{image.name} has watchers')
    if image.snapshots:
        raise error(errno.ENOTEMPTY, f'{image.name} has snapshots')


class RBD:
    """Operations on images as a whole."""

    @operation
    def list2(self, ioctx: Any) -> Any:
        images = sorted(ioctx.pool.images.items())
        return [{'id': image.number, 'name': name} for name, image in images]

    @operation
    def list(self, ioctx: Any) -> Any:
        return sorted(ioctx.pool.images)

    @operation
    def create(
        self,
        ioctx: Any,
        name: str,
        size: int,
        order: int = 22,
        old_format: bool = False,
        features: int = 1,
    ) -> None:
        grow(ioctx)
        if name in ioctx.pool.images:
            raise error(errno.EEXIST, name)
        cluster = ioctx.cluster
        ioctx.pool.has_directory = True
        ioctx.pool.images[name] = ceph.Image(
            f'{cluster.new_number():x}',
            name,
            size,
            order,
            features,
            cluster.clock(),
        )

    @operation
    def clone(
        self,
        p_ioctx: Any,
        p_name: str,
        p_snapname: str,
        c_ioctx: Any,
        c_name: str,
        features: int = 1,
    ) -> None:
        with Image(p_ioctx, p_name, p_snapname, read_only=True) as parent:
            snapshot, image = parent._snapshot, parent._image
        wanted = p_ioctx.client.conf_get('rbd_default_clone_format') or '2'
        if wanted == '1' and not snapshot.protected:
            raise error(errno.EINVAL, f'{p_snapname} is not protected')
        self.create(c_ioctx, c_name, snapshot.size, image.order)
        child = c_ioctx.pool.images[c_name]
        child.parent = ceph.Parent(image, snapshot, int(wanted))

    @operation
    def rename(self, ioctx: Any, source: str, target: str) -> None:
        images = ioctx.pool.images
        if source not in images:
            raise error(errno.ENOENT, source)
        grow(ioctx)
        if target in images:
            raise error(errno.EEXIST, target)
        images[target] = images.pop(source)
        images[target].name = target

    @operation
    def remove(self, ioctx: Any, name: str) -> None:
        if name not in ioctx.pool.images:
            raise error(errno.ENOENT, name)
        _check_unused(ioctx, ioctx.pool.images[name])
        ioctx.cluster.detach(_take(ioctx, name))

    @operation
    def trash_move(self, ioctx: Any, name: str, delay: float = 0) -> None:
        pool = ioctx.pool
        if pool.full and not pool.has_trash:
            # That is what 16.2 says when it cannot write there.
            raise error(errno.ENOENT, 'error moving image to trash')
        image = _take(ioctx, name)
        until = ioctx.cluster.clock() + delay
        pool.trash[image.number] = (image, until)
        pool.has_trash = True

    @operation
    def trash_list(self, ioctx: Any) -> Any:
        return [
            {
                'id': number,
                'name': image.name,
                'source': 'USER',
                # naive, in UTC, and nobody here defers its end
                'deletion_time': datetime.datetime.fromtimestamp(
                    until, datetime.UTC
                ).replace(tzinfo=None),
            }
            for number, (image, until) in sorted(ioctx.pool.trash.items())
        ]

    @operation
    def trash_get(self, ioctx: Any, number: str) -> Any:
        if number not in ioctx.pool.trash:
            raise error(errno.ENOENT, number)
        image, _until = ioctx.pool.trash[number]
        return {'id': number, 'name': image.name, 'source': 'USER'}

    @operation
    def trash_remove(self, ioctx: Any, number: str) -> None:
        if number not in ioctx.pool.trash:
            raise error(errno.ENOENT, number)
        image, until = ioctx.pool.trash[number]
        if until > ioctx.cluster.clock():
            raise error(errno.EPERM, f'{number} is deferred')
        _check_unused(ioctx, image)
        del ioctx.pool.trash[number]
        ioctx.cluster.detach(image)
