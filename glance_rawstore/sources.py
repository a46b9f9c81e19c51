# SPDX-License-Identifier: Apache-2.0
"""Where the bytes of an original are read from: RBD, or a spooled file.

A spool is a file without a name: however we end, the kernel frees it. Only
where qemu-img could not reach such a file it has a name, until it is closed.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from typing import IO, Any

from oslo_utils import units

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import nodes
from glance_rawstore import rbd_image

#: How the names of spools begin, where they have one.
SPOOL_PREFIX = 'raw-copy-spool-'

#: Bytes left free in the scratch directory for whoever else uses it.
RESERVE = 256 * units.Mi


class RbdSource:
    """An original in RBD, read in place.

    :param client: connected ``rados.Rados``
    :param image: open ``rbd.Image``
    :param node: how qemu reaches the same snapshot
    """

    def __init__(self, client: Any, image: Any, node: nodes.Node) -> None:
        self._client = client
        self._image = image
        self.node = node
        self.size = int(image.size())

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer than length only at the end."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b''
        with ceph.translated():
            return bytes(self._image.read(offset, length))

    def watchers(self) -> set[str]:
        """Addresses of the other clients that have it open."""
        with ceph.translated():
            return rbd_image.watchers(self._image, self._client)


class FileSource:
    """An original in a file, which may have no name.

    :param file: open binary file; it must stay open while qemu-img runs
    :param locking: have qemu keep others from opening it for writing
    """

    def __init__(self, file: IO[bytes], locking: bool = True) -> None:
        self._file = file
        # A file without a name has this one for as long as we hold it.
        path = f'/proc/{os.getpid()}/fd/{file.fileno()}'
        if isinstance(file.name, str):
            path = file.name
        self.node: nodes.Node = {'driver': 'file', 'filename': path}
        if not locking:
            self.node['locking'] = 'off'
        self.size = os.fstat(file.fileno()).st_size

    def watchers(self) -> set[str]:
        """None; a file does not mind who reads it."""
        return set()

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer than length only at the end."""
        return os.pread(self._file.fileno(), length, offset)


Source = RbdSource | FileSource


@contextlib.contextmanager
def rbd_source(
    settings: ceph.Settings, image: str, snapshot: str | None
) -> Iterator[RbdSource]:
    """Open an RBD image, or a snapshot of it, as a source.

    :raises NotFound: it is not there
    :raises CephUnavailable: the cluster cannot be reached
    """
    node = nodes.rbd(
        settings.pool, image, settings.conf_file, settings.user, snapshot
    )
    with ceph.connect(settings) as (client, ioctx):
        with ceph.translated():
            opened = ceph.rbd.Image(ioctx, image, read_only=True)
        with opened:
            if snapshot is not None:
                # Not when it is opened: librbd 16.2 then aborts the whole
                # process now and then (seen once in some thousand times).
                with ceph.translated():
                    opened.set_snap(snapshot)
            yield RbdSource(client, opened, node)


def _check_free(directory: str, needed: int) -> None:
    free = shutil.disk_usage(directory).free
    if needed + RESERVE > free:
        raise exceptions.NoSpace(
            f'Not enough scratch space: {needed / units.Gi:.1f} GiB are '
            f'needed and {max(0, free - RESERVE) / units.Gi:.1f} GiB free.'
        )


def others_may_look() -> bool:
    """Whether qemu-img can reach our files by way of ``/proc``.

    It cannot when the process has changed its user itself, as uWSGI does
    with ``uid``: /proc/self then belongs to root (proc(5), "dumpable").
    """
    return os.stat('/proc/self').st_uid == os.geteuid()


@contextlib.contextmanager
def spool(directory: str, expected: int) -> 'Iterator[IO[bytes]]':
    """A nameless file to put an original into.

    :param directory: scratch directory; created when missing
    :param expected: bytes that will be written; 0 when not known
    :raises NoSpace: there is not enough free space for them
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    _check_free(directory, expected)
    # Unbuffered: what does not fit must show at once, not when closing.
    make: Any = tempfile.TemporaryFile
    if not others_may_look():
        make = tempfile.NamedTemporaryFile
    with make(dir=directory, prefix=SPOOL_PREFIX, buffering=0) as file:
        # One with a name that nobody has locked is of a dead process. Shared,
        # as on NFS this and the locks that qemu-img takes are of one kind.
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file


def write(file: IO[bytes], data: bytes) -> None:
    """Append to a spool.

    :raises NoSpace: the scratch directory is full
    """
    left = memoryview(data)
    try:
        while left:
            left = left[file.write(left) :]
    except OSError as exc:
        raise exceptions.NoSpace(
            'The scratch space for conversions is full.'
        ) from exc


@contextlib.contextmanager
def spooled(
    directory: str, chunks: Iterable[bytes], expected: int
) -> Iterator[FileSource]:
    """Spool an original and use it as a source.

    :param chunks: the original's bytes, in order
    :param expected: how many there will be; 0 when not known
    :raises NoSpace: before anything is written, or when it fills up
    """
    with spool(directory, expected) as file:
        for chunk in chunks:
            write(file, chunk)
        yield FileSource(file)
