# SPDX-License-Identifier: Apache-2.0
"""Judge untrusted image bytes. Core; uses oslo.utils besides ourselves.

The default is no: a format that is not listed, a check that fails or breaks,
a declared format that the bytes do not have are all refused, and qemu-img
never sees them.
"""

import dataclasses
import struct
from collections.abc import Iterable
from typing import Protocol

from oslo_utils import units
from oslo_utils.imageutils import format_inspector

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import nodes

#: Bytes after which an inspector that still wants more is given up. VHDX
#: keeps its metadata anywhere in the first MiBs; nothing else needs 1 MiB.
INSPECT_LIMIT = 16 * units.Mi

#: Bytes in which qemu counts a disk.
SECTOR = 512

# https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
_QCOW2_CLUSTER_BITS = slice(20, 24)
_QCOW2_CRYPT_METHOD = slice(32, 36)
# "Virtual Hard Disk Image Format Specification", hard disk footer
_VHD_DISK_TYPE = slice(60, 64)
_VHD_DIFFERENCING = 4
_WHY = {
    'backing_file': 'has a backing file',
    'parent': 'depends on a parent image',
    'data_file': 'keeps its data in another file',
    'unknown_features': 'uses qcow2 features that are not supported',
    'encryption': 'is encrypted',
    'descriptor': 'refers to other files, or its descriptor is not readable',
    'footer': 'has a footer that does not match its header',
}


class Readable(Protocol):
    """What can be inspected."""

    @property
    def size(self) -> int:
        """Size in bytes."""

    def read(self, offset: int, length: int) -> bytes:
        """Bytes at an offset; fewer than length only at the end."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What was found in an image that may be converted.

    :param disk_format: as Glance names it
    :param driver: qemu's name for it
    :param virtual_size: in bytes, as the header says
    :param cluster_size: of a qcow2, in bytes; None for anything else
    """

    disk_format: str
    driver: str
    virtual_size: int
    cluster_size: int | None = None

    @property
    def sure_size(self) -> int | None:
        """The virtual size, if qemu is sure to see the same one; else None.

        Of a qcow2 it reads the same field, in whole sectors (block/qcow2.c);
        of others it may be told by another one, or round it.
        """
        whole = self.virtual_size % SECTOR == 0
        return self.virtual_size if whole and self.driver == 'qcow2' else None

    def node(self, protocol: nodes.Node) -> nodes.Node:
        """How qemu is to open the image.

        :param protocol: how it reaches the bytes
        """
        return nodes.source(self.driver, protocol, self.cluster_size)


def _chunks(source: Readable) -> Iterable[bytes]:
    """The first bytes, and then the last ones, of a source.

    The end matters to streamOptimized VMDK alone, which has a footer; its
    inspector keeps nothing but the last bytes that it is given.
    """
    offset = 0
    while offset < min(INSPECT_LIMIT, source.size):
        yield source.read(offset, formats.CHUNK)
        offset += formats.CHUNK
    tail = max(offset, source.size - formats.CHUNK)
    if tail < source.size:
        yield source.read(tail, source.size - tail)


def _vmdk_checks(
    head: bytes, inspector: format_inspector.FileInspector
) -> Iterable[str]:
    """Only a file that has its data in itself, and says so once."""
    text = getattr(inspector, 'desc_text', None) or ''
    extents = [
        line.split()
        for line in text.splitlines()
        if line.startswith(('rw ', 'rdonly ', 'noaccess '))
    ]
    if 'parentfilenamehint' in text:
        yield 'parent'
    if (
        not head.startswith(b'KDMV')
        or text.count('createtype') != 1
        or any(len(e) < 3 or e[2] != 'sparse' for e in extents)
    ):
        yield 'descriptor'


def _further_checks(
    inspector: format_inspector.FileInspector, source: Readable
) -> Iterable[str]:
    """Names of failed checks that oslo.utils does not have."""
    head = source.read(0, 512)
    if inspector.NAME == 'qcow2':
        (method,) = struct.unpack('>I', head[_QCOW2_CRYPT_METHOD])
        if method != 0:
            yield 'encryption'
    if inspector.NAME == 'vhd':
        (kind,) = struct.unpack('>I', head[_VHD_DISK_TYPE])
        if kind == _VHD_DIFFERENCING:
            yield 'parent'
    if inspector.NAME == 'vmdk':
        yield from _vmdk_checks(head, inspector)


def _unsafe(disk_format: str, checks: Iterable[str]) -> exceptions.UnsafeImage:
    names = tuple(sorted(checks))
    why = ', '.join(_WHY.get(n, f'fails the check {n!r}') for n in names)
    return exceptions.UnsafeImage(
        f'The {disk_format} image {why}; such an image is not converted.',
        names,
    )


def _feed(inspector: format_inspector.FileInspector, source: Readable) -> None:
    """Give an inspector what it asks for, and no more."""
    for chunk in _chunks(source):
        inspector.eat_chunk(chunk)
        if inspector.complete:
            break
    inspector.finish()


def inspect(source: Readable, disk_format: str, max_size: int) -> Verdict:
    """Judge an image before anything else opens it.

    :param disk_format: what the image is declared to be
    :param max_size: largest virtual size allowed, in bytes
    :raises UnsupportedFormat: the bytes are not of that format
    :raises UnsafeImage: a safety check failed
    :raises TooLarge: the virtual size is beyond max_size
    """
    inspector = formats.inspector(disk_format)
    try:
        _feed(inspector, source)
        matches = inspector.format_match
        size = inspector.virtual_size
    except exceptions.RawStoreError:
        raise  # the source cannot be read, which is no fault of the image
    except Exception as exc:
        raise _unsafe(disk_format, ['header']) from exc
    if not matches:
        raise exceptions.UnsafeImage(
            f'The image is declared as {disk_format} but its data is not '
            f'{disk_format}.',
            ('format_mismatch',),
        )
    _check_safety(inspector, source)
    check_size(size, max_size)
    driver = formats.CONVERTIBLE[disk_format]
    return Verdict(disk_format, driver, size, _cluster_size(driver, source))


def _cluster_size(driver: str, source: Readable) -> int | None:
    """That of a qcow2, if it is one that qemu reads (block/qcow2.h)."""
    if driver != 'qcow2':
        return None
    (bits,) = struct.unpack('>I', source.read(0, 512)[_QCOW2_CLUSTER_BITS])
    return 1 << bits if 9 <= bits <= 21 else None


def _check_safety(
    inspector: format_inspector.FileInspector, source: Readable
) -> None:
    failed: list[str] = []
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as exc:
        failed += exc.failures
    except Exception as exc:
        raise _unsafe(inspector.NAME, ['header']) from exc
    failed += _further_checks(inspector, source)
    if failed:
        raise _unsafe(inspector.NAME, failed)


def check_size(virtual_size: int, max_size: int) -> None:
    """Refuse a virtual size, in bytes, that is absurd or beyond the limit.

    :raises UnsafeImage: zero or negative
    :raises TooLarge: beyond max_size
    """
    if virtual_size <= 0:
        raise exceptions.UnsafeImage(
            'The image names no virtual size.', ('virtual_size',)
        )
    if virtual_size > max_size:
        raise exceptions.TooLarge(
            f'The virtual size of the image, {virtual_size / units.Gi:.1f} '
            f'GiB, is larger than the {max_size / units.Gi:.0f} GiB that may '
            'be converted here.'
        )


def inspect_result(copy: Readable) -> None:
    """Judge what a conversion wrote: it must not be an image in itself.

    :raises UnsafeImage: the guest's disk begins like a disk image that a
        probing consumer would open as such
    """
    nested = formats.nested(copy.read(0, formats.CHUNK))
    if nested is not None:
        raise exceptions.UnsafeImage(
            f'The guest disk inside the image is itself a {nested} image; '
            'such an image is not converted.',
            ('nested_format',),
        )
