# SPDX-License-Identifier: Apache-2.0
"""Make the raw copy of an image appear and vanish in an instant.

By the very steps in Ceph that decide: the rename that ends a commit, and the
move to the trash that begins a deletion.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import rbd

from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore.lifecycle import raw_copy
from tests.cluster import Cluster


class Flip:
    """The raw copy of one image, under a test's control."""

    def __init__(self, ioctx: Any, image_id: str) -> None:
        self._ioctx = ioctx
        self._rbd = rbd.RBD()
        self._image_id = image_id
        self._name = raw_copy.name(image_id)
        self._part = raw_copy.part_name(image_id)
        with rbd.Image(ioctx, self._name, read_only=True) as image:
            self._id = image.id()

    @classmethod
    @contextlib.contextmanager
    def of(cls, cluster: Cluster, pool: str, image_id: str) -> Iterator[Flip]:
        """Control the active copy of an image; it is active again after."""
        client = cluster.connect()
        try:
            with client.open_ioctx(pool) as ioctx:
                flip = cls(ioctx, image_id)
                try:
                    yield flip
                finally:
                    flip.to(True)
        finally:
            client.shutdown()

    @property
    def active(self) -> bool:
        """Whether there is an active copy."""
        return self._name in self._rbd.list(self._ioctx)

    def to(self, active: bool) -> None:
        """Commit the copy or delete it; nothing if it is so already."""
        if active and not self.active:
            self._rbd.trash_restore(self._ioctx, self._id, self._part)
            self.date(0)
            self._rbd.rename(self._ioctx, self._part, self._name)
        elif not active and self.active:
            evicted.leave_trace(self._ioctx, self._image_id, time.time())
            self._rbd.trash_move(self._ioctx, self._name, 0)

    def date(self, ago: float) -> None:
        """Have the copy be active since so many seconds ago."""
        key, at = raw_copy.META_COMMITTED, time.time() - ago
        directory.set_meta(self._ioctx, self._id, key, f'{at:.6f}')
