# SPDX-License-Identifier: Apache-2.0
"""A guest small enough for tests, which really boots.

The boot program of the demo: it says hello on the serial port, reads a label
from its disk, counts there how often it was booted, and powers off.
"""

from __future__ import annotations

from pathlib import Path

from demo import bootsector
from tests import images
from tests.processes import run

LABEL = 'consumers-guest'
SIZE = 16 << 20

#: Where ext4 keeps its label, in bytes from the start of the disk.
_LABEL_AT = bootsector.PARTITION * bootsector.SECTOR + 1024 + 0x78


def build(directory: Path) -> Path:
    """Write the disk as a qcow2, and beside it as raw; return the qcow2."""
    contents = images.Contents(size=SIZE, data=3 << 20)
    raw = contents.write(directory / 'guest.raw')
    bootsector.install(raw)
    with raw.open('r+b') as disk:
        disk.seek(_LABEL_AT)
        disk.write(LABEL.encode().ljust(16, b'\0'))
    qcow2 = raw.with_suffix('.qcow2')
    convert = ['qemu-img', 'convert', '-c', '-f', 'raw', '-O', 'qcow2']
    run([*convert, str(raw), str(qcow2)])
    return qcow2


def boot(disk: str) -> str:
    """Boot a machine from a disk; return what it wrote to its serial port.

    :param disk: raw, in QEMU's words
    """
    return run(
        [
            *('qemu-system-x86_64', '-m', '64', '-nic', 'none'),
            *('-display', 'none', '-vga', 'none', '-monitor', 'none'),
            *('-serial', 'stdio', '-no-reboot'),
            *('-drive', f'if=virtio,format=raw,file={disk}'),
        ],
    )


def greeting(boots: int) -> str:
    """What a guest says that has been booted so often."""
    return f'{bootsector.HELLO}{LABEL}{bootsector.BOOTS}{boots}'
