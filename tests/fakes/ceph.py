# SPDX-License-Identifier: Apache-2.0
"""A Ceph in memory that behaves, as far as raw copies need one.

It keeps state and refuses what 16.2 was seen to refuse:
tests/contract holds for it and for the real one. :func:`install` puts it in
the place of the bindings; rbd.py and rados.py beside this file are what
callers see of it.
"""

import dataclasses
import errno
import itertools
import types
import uuid
from collections.abc import Callable, Iterator
from typing import Any

#: Seconds for which the watch of a killed client stays.
WATCH_TIMEOUT = 30.0

Log = list[tuple[int, bytes]]


@dataclasses.dataclass
class Snapshot:
    """A snapshot: what had been written when it was taken."""

    number: int
    name: str
    size: int
    log: Log
    parent: 'Parent | None'
    protected: bool = False
    original_name: str | None = None  # set while in the trash of snapshots


@dataclasses.dataclass
class Parent:
    """What a clone was made of."""

    image: 'Image'
    snapshot: Snapshot
    clone_format: int


@dataclasses.dataclass
class Watch:
    address: str
    number: int  # of the client
    cookie: int
    until: float = float('inf')


@dataclasses.dataclass
class Lock:
    holder: tuple[str, str]  # address of the client, cookie
    until: float


@dataclasses.dataclass
class Image:
    """An RBD image; its data is the list of all writes in their order.

    :ivar damaged: its header cannot be decoded
    """

    number: str
    name: str
    size: int
    order: int
    features: int
    created: float
    parent: Parent | None = None
    flags: int = 0
    log: Log = dataclasses.field(default_factory=list)
    snapshots: dict[int, Snapshot] = dataclasses.field(default_factory=dict)
    meta: dict[str, str] = dataclasses.field(default_factory=dict)
    watches: list[Watch] = dataclasses.field(default_factory=list)
    locks: dict[str, Lock] = dataclasses.field(default_factory=dict)
    damaged: bool = False


@dataclasses.dataclass
class Pool:
    """A pool.

    :ivar full: it takes nothing that makes it grow
    :ivar has_trash: the object of the trash is there, as it is after the
        first use; a full pool has no room for a new one
    :ivar has_directory: the object that names the images is there, as it is
        from the first image on
    :ivar strays: objects that belong to no image
    :ivar omaps: key-value maps of such objects
    :ivar locks: exclusive locks on such objects, by object and lock
    :ivar quota: most bytes that it may have; 0 for no quota
    :ivar stored: bytes that ``ceph df`` tells of
    :ivar shared: shared locks on such objects, by object and lock: until
        when each holder has it
    """

    name: str
    images: dict[str, Image] = dataclasses.field(default_factory=dict)
    trash: dict[str, tuple[Image, float]] = dataclasses.field(
        default_factory=dict
    )
    full: bool = False
    quota: int = 0
    stored: int = 0
    has_trash: bool = False
    has_directory: bool = False
    strays: set[str] = dataclasses.field(default_factory=set)
    omaps: dict[str, dict[str, bytes]] = dataclasses.field(
        default_factory=dict
    )
    locks: dict[str, dict[str, Lock]] = dataclasses.field(default_factory=dict)
    shared: dict[tuple[str, str], dict[tuple[str, str], float]] = (
        dataclasses.field(default_factory=dict)
    )

    def every_image(self) -> Iterator[Image]:
        yield from self.images.values()
        yield from (image for image, _until in self.trash.values())


class Cluster:
    """The cluster.

    :param clock: seconds since the epoch; for locks, watches and the trash
    :ivar away: nothing is answered
    :ivar free: in bytes
    :ivar forbidden: (user, pool) pairs without any permission
    :ivar no_fence: users that the monitor lets fence nobody
    :ivar no_key: users of whom no keyring has a key
    """

    def __init__(self, clock: Callable[[], float], conf_file: str) -> None:
        self.clock = clock
        self.conf_file = conf_file
        self.fsid = str(uuid.uuid4())
        self.pools: dict[str, Pool] = {}
        self.away = False
        self.free = 1 << 40
        self.blocklist: set[str] = set()
        self.forbidden: set[tuple[str | None, str]] = set()
        self.no_fence: set[str | None] = set()
        self.no_key: set[str | None] = set()
        self._events: dict[str, Any] = {}
        self._numbers = itertools.count(4096)

    def create_pool(self, name: str) -> Pool:
        return self.pools.setdefault(name, Pool(name))

    def new_number(self) -> int:
        return next(self._numbers)

    def on(
        self,
        operation: str,
        before: Callable[[], None] = lambda: None,
        after: Callable[[], None] = lambda: None,
    ) -> None:
        """Have something happen at the next operation of that name.

        :param before: may raise, as where it fails
        :param after: may raise, as where its answer gets lost
        """
        self._events[operation] = (before, after)

    def events(self, operation: str) -> Any:
        """What happens before and after an operation, this once."""
        nothing = (lambda: None, lambda: None)
        return self._events.pop(operation, nothing)

    def children(self, image: Image, snapshot: Snapshot) -> list[Any]:
        """(pool, image) of the clones of a snapshot."""
        return [
            (pool, child)
            for pool in self.pools.values()
            for child in pool.every_image()
            if child.parent
            and child.parent.image is image
            and child.parent.snapshot is snapshot
        ]

    def detach(self, child: Image) -> None:
        """A clone is flattened or gone; so may be a trashed snapshot."""
        parent, child.parent = child.parent, None
        if parent is None or parent.snapshot.original_name is None:
            return
        if not self.children(parent.image, parent.snapshot):
            parent.image.snapshots.pop(parent.snapshot.number, None)

    def watches(self, image: Image) -> list[Watch]:
        """Those that are still there."""
        image.watches = [
            watch
            for watch in image.watches
            if watch.until > self.clock()
            and watch.address not in self.blocklist
        ]
        return image.watches

    def killed(self, address: str) -> None:
        """A client died without a word: its watches stay for a while."""
        for pool in self.pools.values():
            for image in pool.every_image():
                for watch in image.watches:
                    if watch.address == address:
                        watch.until = self.clock() + WATCH_TIMEOUT

    def check(
        self, ioctx: Any, error: Callable[[int, str], Exception]
    ) -> None:
        """Refuse whoever is shut out, or everybody while it is away."""
        client = ioctx.client
        if client.address in self.blocklist:
            raise error(errno.ESHUTDOWN, 'the client is blocklisted')
        if self.away:
            raise error(errno.ETIMEDOUT, 'nobody answers')
        if (client.user, ioctx.name) in self.forbidden:
            raise error(errno.EPERM, f'{client.user} may not do this')


#: Clusters by their ceph.conf.
CLUSTERS: dict[str, Cluster] = {}


def install(monkeypatch: Any, target: types.ModuleType) -> None:
    """Put the fakes in the place of a module's ``rados`` and ``rbd``."""
    from tests.fakes import rados
    from tests.fakes import rbd

    monkeypatch.setattr(target, 'rados', rados)
    monkeypatch.setattr(target, 'rbd', rbd)


def inherited(parent: Parent | None) -> Log:
    """All writes that a clone has from those it was made of."""
    if parent is None:
        return []
    return inherited(parent.snapshot.parent) + parent.snapshot.log


def data(
    log: Log, parent: Parent | None, size: int, offset: int, length: int
) -> bytes:
    """Bytes of an image: its parent's, and its own writes over them."""
    end = min(offset + length, size)
    found = bytearray(max(0, end - offset))
    for at, written in inherited(parent) + log:
        low, high = max(at, offset), min(at + len(written), end)
        if low < high:
            part = written[low - at : high - at]
            found[low - offset : high - offset] = part
    return bytes(found)


def extents(log: Log, step: int, low: int, high: int) -> list[Any]:
    """What has been written between two offsets, in stretches.

    :param step: granularity, in bytes
    """
    found: list[tuple[int, int]] = []
    for at, written in sorted((at, len(data)) for at, data in log):
        start = max(at // step * step, low)
        end = min(-(-(at + written) // step) * step, high)
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return found
