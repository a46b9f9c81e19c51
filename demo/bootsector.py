# SPDX-License-Identifier: Apache-2.0
"""The first sectors of a disk that really boots, in place of a guest.

There is no operating system to download here, and none is needed: what is to
be shown is that firmware starts from a clone, reads it and writes to it. The
program below is what a BIOS loads from the first sector. It says hello on the
serial port, reads the label of the file system on the disk, counts in the
disk's second sector how often it was booted, and powers the machine off.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

SECTOR = 512
#: Where the only partition begins, in sectors: at 1 MiB, as everybody does.
PARTITION = 2048

HELLO = 'Hello from the guest. The file system on my disk is: '
BOOTS = '\r\nTimes this disk was booted: '

# Addresses in memory: where the BIOS loads the program, where that keeps its
# texts, and where it reads sectors to.
_LOADED = 0x7C00
_TEXTS = _LOADED + 0x100
_SUPERBLOCK = 0x8000
_COUNTER = 0x8400

# The label of ext4: its place in the superblock, which lies 1024 bytes into
# the partition (Linux, Documentation/filesystems/ext4/super.rst).
_SUPERBLOCK_SECTOR = PARTITION + 1024 // SECTOR
_LABEL = _SUPERBLOCK + 0x78

# The table of partitions ends the sector, before its two last bytes.
_TABLE = 446
_LINUX = 0x83


def _packet(address: int, sector: int) -> bytes:
    """What int 13h is given to read or write one sector."""
    return struct.pack('<BBHHHQ', 16, 0, 1, address, 0, sector)


def _text(text: str) -> bytes:
    return text.encode() + b'\0'


_DATA = (
    ('superblock', _packet(_SUPERBLOCK, _SUPERBLOCK_SECTOR)),
    ('counter', _packet(_COUNTER, 1)),
    ('hello', _text(HELLO)),
    ('boots', _text(BOOTS)),
    ('end', _text('\r\n')),
)


def _addresses() -> dict[str, int]:
    found, address = {}, _TEXTS
    for name, data in _DATA:
        found[name] = address
        address += len(data)
    return found


def _load_si(address: int) -> bytes:
    return struct.pack('<BH', 0xBE, address)


def program() -> bytes:
    """The machine code, 16-bit x86; jumps and calls are relative."""
    at = _addresses()
    return b''.join(
        (
            b'\x31\xc0\x8e\xd8\x8e\xc0\x8e\xd0',  # ds = es = ss = 0
            b'\xbc\x00\x7c\xfc',  # sp = 0x7c00; strings go upwards
            _load_si(at['hello']),
            b'\xe8\x46\x00',  # call print
            _load_si(at['superblock']),
            b'\xb4\x42\xcd\x13\x72\x2f',  # int 13h, read; if it fails: off
            _load_si(_LABEL),
            b'\xe8\x37\x00',  # call print
            _load_si(at['counter']),
            b'\xb4\x42\xcd\x13\x72\x20',  # int 13h, read; if it fails: off
            b'\xfe\x06' + struct.pack('<H', _COUNTER),  # one more boot
            _load_si(at['counter']),
            b'\xb8\x00\x43\xcd\x13\x72\x12',  # int 13h, write
            _load_si(at['boots']),
            b'\xe8\x1a\x00',  # call print
            _load_si(_COUNTER),
            b'\xe8\x14\x00',  # call print
            _load_si(at['end']),
            b'\xe8\x0e\x00',  # call print
            # off: ask the firmware (APM) for power off, and wait for it
            b'\xb8\x07\x53\xbb\x01\x00\xb9\x03\x00\xcd\x15\xf4\xeb\xfd',
            # print: each byte at si to the first serial port, until a zero
            b'\x60\xac\x84\xc0\x74\x12\x88\xc4',
            b'\xba\xfd\x03\xec\xa8\x20\x74\xfb',  # wait until it can take one
            b'\xba\xf8\x03\x88\xe0\xee\xeb\xe9\x61\xc3',
        )
    )


def sector(sectors: int) -> bytes:
    """The first sector: program, table of partitions, mark of a boot disk.

    :param sectors: of the whole disk, the only partition takes all it can
    """
    data = b''.join(part for _, part in _DATA)
    image = program().ljust(_TEXTS - _LOADED, b'\0') + data
    if len(image) > _TABLE:
        raise ValueError(f'a boot program of {len(image)} bytes is too long')
    chs = b'\xfe\xff\xff'  # the old addresses, not used on disks like this
    size = sectors - PARTITION
    bootable = b'\x80' + chs + bytes([_LINUX]) + chs
    table = bootable + struct.pack('<II', PARTITION, size)
    return image.ljust(_TABLE, b'\0') + table.ljust(64, b'\0') + b'\x55\xaa'


def write(disk: BinaryIO, size: int) -> None:
    """Write the first two sectors of a disk.

    :param size: of the disk, in bytes
    """
    disk.seek(0)
    disk.write(sector(size // SECTOR))
    disk.write(b'0'.ljust(SECTOR, b'\0'))


def install(path: Path) -> None:
    """Make a file that is a disk bootable."""
    with path.open('r+b') as disk:
        write(disk, path.stat().st_size)
