# SPDX-License-Identifier: Apache-2.0
"""Images of a few packed bytes, each field at the caller's choice."""

import struct

MIB = 1 << 20


class Memory:
    """A source that lies in memory."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def qcow2(
    version: int = 3,
    backing_offset: int = 0,
    size: int = 64 * MIB,
    crypt_method: int = 0,
    incompatible: int = 0,
    length: int = 1024,
) -> bytes:
    """A qcow2 header and nothing behind it.

    https://www.qemu.org/docs/master/interop/qcow2.html
    """
    head = struct.pack(
        '>4sIQIIQI',
        b'QFI\xfb',
        version,
        backing_offset,
        0,  # length of the backing file's name
        16,  # bits of a cluster's size: 64 KiB
        size,
        crypt_method,
    )
    return (head.ljust(72, b'\0') + struct.pack('>Q', incompatible)).ljust(
        length, b'\0'
    )


def vhd(kind: int = 3, size: int = 64 * MIB) -> bytes:
    """The footer that a dynamic vhd begins with.

    :param kind: 2 fixed, 3 dynamic, 4 differencing
    """
    head = b'conectix'.ljust(40, b'\0') + struct.pack('>Q', size)
    return (head.ljust(60, b'\0') + struct.pack('>I', kind)).ljust(1024, b'\0')


def vdi(size: int = 64 * MIB) -> bytes:
    head = b'<<< VDI >>>\n'.ljust(64, b'\0') + struct.pack('<I', 0xBEDA107F)
    return (head.ljust(368, b'\0') + struct.pack('<Q', size)).ljust(
        1024, b'\0'
    )


def descriptor(
    kind: str = 'monolithicSparse',
    extent: str = 'RW 8 SPARSE "disk.vmdk"',
    more: str = '',
) -> bytes:
    """The text part of a vmdk ("Virtual Disk Format 5.0", VMware, 2011)."""
    return (
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
        f'createType="{kind}"\n{more}\n{extent}\n\n'
        'ddb.adapterType = "ide"\n'
    ).encode()


# Of a vmdk whose footer takes precedence over its header.
AT_END = (1 << 64) - 1


def vmdk(
    text: bytes | None = None,
    sectors: int = 8,
    at: int = 1,
    directory: int = 21,
    version: int = 1,
    cid_at_1: bool = False,
) -> bytes:
    """A sparse vmdk's header and descriptor.

    :param sectors: virtual size, in sectors of 512 bytes
    :param at: where the descriptor is, in sectors
    :param directory: where the grain directory is, in sectors, or AT_END
    :param cid_at_1: write what QEMU reads at sector 1 in any case
    """
    text = descriptor() if text is None else text
    body = header(sectors, at, directory, version).ljust(512, b'\0')
    if cid_at_1:
        body += b'CID=fffffffe\nparentCID=ffffffff\n'
    return (body.ljust(at * 512, b'\0') + text).ljust(32 * 512, b'\0')


def header(
    sectors: int = 8, at: int = 1, directory: int = 21, version: int = 1
) -> bytes:
    """A sparse vmdk's header, or what stands in its footer."""
    fields = (b'KDMV', version, 3, sectors, 128, at, 20, 512, 0, directory)
    return struct.pack('<4sIIQQQQIQQ', *fields)


def footer(head: bytes) -> bytes:
    """The end of a streamOptimized vmdk: marker, header, end of stream."""
    marker = struct.pack('<QII', 1, 0, 3).ljust(512, b'\0')
    return marker + head.ljust(512, b'\0') + bytes(512)
