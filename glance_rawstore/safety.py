# SPDX-License-Identifier: Apache-2.0
"""Judge untrusted image bytes. Core; uses oslo.utils besides ourselves.

The default is no: a format that is not listed, a check that fails or breaks,
a declared format that the bytes do not have are all refused, and qemu-img
never sees them.
"""

import dataclasses
import re
import struct
from collections.abc import Iterable
from typing import Protocol

from oslo_utils import units
from oslo_utils.imageutils import format_inspector

from glance_rawstore import exceptions

#: Glance disk formats that are converted -> the qemu block driver.
CONVERTIBLE = {
    'qcow2': 'qcow2',
    'vmdk': 'vmdk',
    'vdi': 'vdi',
    'vhd': 'vpc',
    'vhdx': 'vhdx',
}

#: Glance disk formats whose bytes are what a guest sees: nothing to convert.
ALREADY_RAW = frozenset({'raw', 'iso', 'ami', 'ari', 'aki'})

#: First bytes of formats that are not converted but, like all convertible
#: ones, must not show up inside a raw copy: a consumer that probes would
#: follow their backing files (CVE-2024-40767).
NESTED_MAGIC = {b'QED\0': 'qed', b'COWD': 'vmdk'}

#: Bytes read at once when inspecting.
CHUNK = 64 * units.Ki

#: Bytes after which an inspector that still wants more is given up. VHDX
#: keeps its metadata anywhere in the first MiBs; nothing else needs 1 MiB.
INSPECT_LIMIT = 16 * units.Mi

# https://gitlab.com/qemu-project/qemu/-/blob/master/docs/interop/qcow2.txt
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
    """

    disk_format: str
    driver: str
    virtual_size: int


def _chunks(source: Readable) -> Iterable[bytes]:
    """The first bytes, and then the last ones, of a source.

    The end matters to streamOptimized VMDK alone, which has a footer; its
    inspector keeps nothing but the last bytes that it is given.
    """
    offset = 0
    while offset < min(INSPECT_LIMIT, source.size):
        yield source.read(offset, CHUNK)
        offset += CHUNK
    tail = max(offset, source.size - CHUNK)
    if tail < source.size:
        yield source.read(tail, source.size - tail)


def detect(head: bytes) -> str | None:
    """Name the convertible format of which these are the first bytes.

    :param head: at least 512 bytes, unless the image is smaller
    :returns: a key of :data:`CONVERTIBLE`, or None
    """
    for name in CONVERTIBLE:
        inspector = _inspector(name)
        try:
            inspector.eat_chunk(head)
            if inspector.format_match:
                return name
        except Exception:  # noqa: S112 - a parser that breaks does not match
            continue
    return None


def _inspector(name: str) -> format_inspector.FileInspector:
    inspector = format_inspector.get_inspector(name)
    if inspector is None:
        raise exceptions.UnsupportedFormat(
            f'No safety checks exist for disk format {name}.'
        )
    return inspector()


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


def check_formats(disk_format: str | None, container: str | None) -> str:
    """Refuse what is not convertible by its declared formats.

    :returns: the disk format
    :raises UnsupportedFormat: naming what is supported
    """
    if container != 'bare':
        raise exceptions.UnsupportedFormat(
            f'Container format {container} is not supported for raw copies; '
            'only bare is.'
        )
    if disk_format not in CONVERTIBLE:
        known = ', '.join(sorted(CONVERTIBLE))
        raise exceptions.UnsupportedFormat(
            f'Disk format {disk_format} is not supported for raw copies; '
            f'supported are {known}.'
        )
    return disk_format


def convertible(disk_format: str | None, container: str | None) -> bool:
    """Whether an image is convertible by its declared formats."""
    return container == 'bare' and disk_format in CONVERTIBLE


def inspect(source: Readable, disk_format: str, max_size: int) -> Verdict:
    """Judge an image before anything else opens it.

    :param disk_format: what the image is declared to be
    :param max_size: largest virtual size allowed, in bytes
    :raises UnsupportedFormat: the bytes are not of that format
    :raises UnsafeImage: a safety check failed
    :raises TooLarge: the virtual size is beyond max_size
    """
    inspector = _inspector(disk_format)
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
    return Verdict(disk_format, CONVERTIBLE[disk_format], size)


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


def _looks_like_vmdk(head: bytes) -> bool:
    """What qemu's ``vmdk_probe`` takes for a VMDK, and oslo.utils does not.

    Comments and empty lines, and then a line with the version.
    """
    if head.startswith(b'KDMV'):
        return True
    lines = head.split(b'\n') if head.startswith(b'#') else []
    for line in lines:
        stripped = line.strip(b' \r')
        if stripped and not stripped.startswith(b'#'):
            return re.match(rb'version=[123](\D|$)', stripped) is not None
    return False


def inspect_result(copy: Readable) -> None:
    """Judge what a conversion wrote: it must not be an image in itself.

    :raises UnsafeImage: the guest's disk begins like a disk image that a
        probing consumer would open as such
    """
    head = copy.read(0, CHUNK)
    nested = detect(head) or NESTED_MAGIC.get(head[:4])
    if nested is None and _looks_like_vmdk(head):
        nested = 'vmdk'
    if nested is not None:
        raise exceptions.UnsafeImage(
            f'The guest disk inside the image is itself a {nested} image; '
            'such an image is not converted.',
            ('nested_format',),
        )
