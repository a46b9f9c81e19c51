# SPDX-License-Identifier: Apache-2.0
"""What a contract needs of the world around a raw pool."""

import abc
import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import slices
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.raw_pool import RawPool

MIB = 1 << 20
SIZE = 64 * MIB
DATA = b'what the guest sees. ' * 1000


class Writer(abc.ABC):
    """A process that has a ``.part`` open for writing."""

    @abc.abstractmethod
    def kill(self) -> None:
        """End it without a word, so that its watch stays."""


class World(abc.ABC):
    """A cluster, seen by a node that makes copies and by those who clone.

    :ivar pool: the raw pool, empty, as a node has it open
    """

    pool: RawPool

    # What there must be for each kind of cluster

    @abc.abstractmethod
    def other_node(self) -> RawPool:
        """The same pool, as another node has it open."""

    @abc.abstractmethod
    def blind_node(self) -> RawPool:
        """The same pool, opened by a user without rights to the volumes."""

    @abc.abstractmethod
    def consumer(self, clone_format: int) -> tuple[Any, Any]:
        """(raw pool, pool of volumes) as who clones has them open."""

    @abc.abstractmethod
    def writer(self, image_id: str) -> Writer:
        """Another process that is writing the ``.part`` of an image."""

    @abc.abstractmethod
    def pass_time(self, seconds: float) -> None:
        """Let so much time pass for the cluster."""

    @abc.abstractmethod
    def fill(self) -> None:
        """Have the raw pool take no more data."""

    @abc.abstractmethod
    def make_room(self) -> None:
        """Have it take data again."""

    @abc.abstractmethod
    def set_quota(self, size: int) -> None:
        """Limit the raw pool to so many bytes; 0 for no quota."""

    @abc.abstractmethod
    def damage(self, rbd_id: str) -> None:
        """Make the header of an image one that nobody can read."""

    @abc.abstractmethod
    def away(self) -> contextlib.AbstractContextManager[RawPool]:
        """The pool of a node that waits little, while nothing answers."""

    # What is the same for all of them

    def begin(self, image_id: str | None = None) -> tuple[str, str]:
        """Begin a copy; its image's id and its own."""
        image_id = image_id or str(uuid.uuid4())
        return image_id, self.pool.begin(image_id, SIZE, 8 * MIB)

    def part_id(self, image_id: str) -> str:
        """Internal id of the ``.part`` of an image, empty without one."""
        return self.pool.rbd_id(raw_copy.part_name(image_id)) or ''

    def write(
        self, image_id: str, data: bytes = DATA, offset: int = 0
    ) -> None:
        with self.pool.image(raw_copy.part_name(image_id)) as image:
            image.write(data, offset)

    def keep(self, image_id: str, rbd_id: str, kept: Slices) -> None:
        """Have what has become of slices lie with their ``.part``."""
        text = slices.encode(kept)
        self.pool.note(image_id, rbd_id, raw_copy.META_SLICES, text)

    def copy(self, image_id: str | None = None) -> tuple[str, str]:
        """Make a copy, whole; its image's id and its own."""
        image_id, rbd_id = self.begin(image_id)
        self.write(image_id)
        made_from = {raw_copy.META_SOURCE_FORMAT: 'qcow2'}
        self.pool.commit(image_id, rbd_id, made_from)
        return image_id, rbd_id

    def names(self) -> list[str]:
        return sorted(ceph.rbd.RBD().list(self.pool.ioctx))

    def trash(self) -> list[str]:
        """Ids of what is in the trash of the raw pool."""
        entries = ceph.rbd.RBD().trash_list(self.pool.ioctx)
        return sorted(entry['id'] for entry in entries)

    def create(self, name: str) -> None:
        """Make an image of somebody else's in the raw pool."""
        ceph.rbd.RBD().create(
            self.pool.ioctx, name, MIB, 22, old_format=False, features=1
        )


class Late:
    """An ioctx with which the image is gone once it has been looked at."""

    def __init__(self, world: 'World', image_id: str) -> None:
        self._world = world
        self._image_id = image_id

    def __getattr__(self, name: str) -> Any:
        return getattr(self._world.pool.ioctx, name)

    def stat(self, key: str) -> Any:
        found = self._world.pool.ioctx.stat(key)
        assert self._world.other_node().delete(self._image_id) is True
        return found


class Volumes:
    """Who clones, by one of the two clone formats."""

    def __init__(self, world: World, clone_format: int) -> None:
        self._raw, self._ioctx = world.consumer(clone_format)
        self._rbd = ceph.rbd.RBD()
        self._prefix = str(uuid.uuid4())[:8]
        self._left: list[str] = []

    def clone(self, image_id: str, name: str) -> str:
        """Clone a copy; the volume's name as ``pool/image``."""
        return self._clone(self._raw, raw_copy.name(image_id), name)

    def clone_volume(self, parent: str, name: str) -> str:
        with self._open(parent) as image:
            image.create_snap(raw_copy.SNAPSHOT)
            image.protect_snap(raw_copy.SNAPSHOT)
        parent = f'{self._prefix}-{parent}'
        return self._clone(self._ioctx, parent, name)

    def _clone(self, ioctx: Any, parent: str, name: str) -> str:
        full = f'{self._prefix}-{name}'
        self._rbd.clone(
            ioctx, parent, raw_copy.SNAPSHOT, self._ioctx, full, features=1
        )
        self._left.insert(0, name)
        return f'{self._ioctx.name}/{full}'

    def _open(self, name: str) -> Any:
        return ceph.rbd.Image(self._ioctx, f'{self._prefix}-{name}')

    def read(self, name: str, length: int = len(DATA)) -> bytes:
        with self._open(name) as image:
            return bytes(image.read(0, length))

    def flatten(self, name: str) -> None:
        with self._open(name) as image:
            image.flatten()

    def trash(self, name: str) -> None:
        self._rbd.trash_move(self._ioctx, f'{self._prefix}-{name}', 0)
        self._left.remove(name)

    def remove(self, name: str) -> None:
        with self._open(name) as image:
            for snapshot in list(image.list_snaps()):
                image.unprotect_snap(snapshot['name'])
                image.remove_snap(snapshot['name'])
        self._rbd.remove(self._ioctx, f'{self._prefix}-{name}')
        self._left.remove(name)


@contextlib.contextmanager
def volumes(world: World, clone_format: int) -> Iterator[Volumes]:
    """Who clones; its volumes are removed in the end, children first."""
    found = Volumes(world, clone_format)
    yield found
    for name in list(found._left):
        found.remove(name)
