# SPDX-License-Identifier: Apache-2.0
"""Who clones raw copies, with the rights that a consumer has."""

import contextlib
from collections.abc import Iterator
from typing import Any

import rbd

from glance_rawstore import ceph
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud

VOLUMES = 'volumes'


class Consumer:
    """Clones copies as Cinder does: read-only caps on the raw pool."""

    def __init__(self, cloud: Cloud, clone_format: int) -> None:
        self._conf = str(cloud.cluster.conf)
        self._raw_pool = cloud.raw_pool
        self._format = clone_format

    @contextlib.contextmanager
    def _pool(self, pool: str) -> Iterator[Any]:
        settings = ceph.Settings(self._conf, 'cinder', pool)
        with ceph.connect(settings) as (client, ioctx):
            client.conf_set('rbd_default_clone_format', str(self._format))
            yield ioctx

    def clone(self, image_id: str, name: str) -> None:
        """Clone the copy of an image into the pool of volumes."""
        with self._pool(self._raw_pool) as raw, self._pool(VOLUMES) as volumes:
            rbd.RBD().clone(
                raw,
                raw_copy.name(image_id),
                raw_copy.SNAPSHOT,
                volumes,
                name,
                features=rbd.RBD_FEATURE_LAYERING,
            )

    def clone_clone(self, name: str, child: str) -> None:
        """Clone a volume, by way of a protected snapshot."""
        with self._pool(VOLUMES) as volumes:
            with rbd.Image(volumes, name) as image:
                image.create_snap('s')
                image.protect_snap('s')
            rbd.RBD().clone(
                volumes,
                name,
                's',
                volumes,
                child,
                features=rbd.RBD_FEATURE_LAYERING,
            )

    def flatten(self, name: str) -> None:
        """Make a volume independent of its parent."""
        with self._pool(VOLUMES) as volumes, rbd.Image(volumes, name) as image:
            image.flatten()

    def read(self, name: str, length: int) -> bytes:
        """The first bytes of a volume."""
        with self._pool(VOLUMES) as volumes, rbd.Image(volumes, name) as image:
            return bytes(image.read(0, length))

    def remove(self, name: str) -> None:
        """Remove a volume and its snapshot."""
        with self._pool(VOLUMES) as volumes:
            with rbd.Image(volumes, name) as image:
                for snap in list(image.list_snaps()):
                    if image.is_protected_snap(snap['name']):
                        image.unprotect_snap(snap['name'])
                    image.remove_snap(snap['name'])
            rbd.RBD().remove(volumes, name)
