# SPDX-License-Identifier: Apache-2.0
"""Build good and hostile images; none is stored.

Every builder takes a directory, writes its files there and returns the path
of the image, whose suffix is what Glance calls its format. The same arguments
give the same guest contents. GOOD and HOSTILE name them all for parametrised
tests, e.g. HOSTILE['backing_file']; tests/functional/test_images.py holds
that each is what it says.
"""

from __future__ import annotations

import dataclasses
import random
import struct
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import tenacity

from tests.processes import run

MIB = 1 << 20
TIB = 1 << 40

# read by anybody, and what an attacker would like to read
SECRET = '/etc/passwd'

Builder = Callable[[Path], Path]


@dataclasses.dataclass(frozen=True)
class Contents:
    """What the guest sees: a few stretches of data, zeros elsewhere.

    :param size: virtual size in bytes
    :param data: bytes that are not zero, shared between the places
    :param places: where they lie: 'start', 'middle', 'end'
    :param compressible: repeated text instead of random bytes
    :param seed: of the random bytes
    """

    size: int = 64 * MIB
    data: int = 6 * MIB
    places: tuple[str, ...] = ('start', 'middle', 'end')
    compressible: bool = False
    seed: int = 0

    def write(self, path: Path) -> Path:
        """Write it as a sparse raw file."""
        length = self.data // max(1, len(self.places))
        offsets = {
            'start': 0,
            # in the midst of things, not at some round number
            'middle': self.size // 2 + 12345,
            'end': self.size - length,
        }
        with path.open('wb') as file:
            file.truncate(self.size)
            for number, place in enumerate(self.places):
                file.seek(offsets[place])
                file.write(self._bytes(length, number))
        return path

    def _bytes(self, length: int, number: int) -> bytes:
        if self.compressible:
            text = f'stretch {number} of guest data, over and over. '.encode()
            return (text * (length // len(text) + 1))[:length]
        return random.Random(f'{self.seed} {number}').randbytes(length)


DEFAULT = Contents()
EMPTY = Contents(data=0)
TEXT = Contents(compressible=True)
HUGE = Contents(size=2 * TIB)


def raw(directory: Path, contents: Contents = DEFAULT) -> Path:
    """The guest's disk itself; also what the others are compared with."""
    return contents.write(directory / 'guest.raw')


def converted(
    directory: Path,
    driver: str,
    *,
    contents: Contents = DEFAULT,
    options: str = '',
    compress: bool = False,
) -> Path:
    """An image that qemu-img makes of raw(); that stays beside it.

    :param driver: qemu's name of the format, e.g. vpc for vhd
    :param options: of the format, e.g. cluster_size=2M,compat=1.1
    """
    path = directory / f'image.{"vhd" if driver == "vpc" else driver}'
    command = ['qemu-img', 'convert', '-f', 'raw', '-O', driver]
    command += ['-o', options] if options else []
    command += ['-c'] if compress else []
    run([*command, str(raw(directory, contents)), str(path)])
    return path


qcow2 = partial(converted, driver='qcow2')


def zeroed(directory: Path, contents: Contents = DEFAULT) -> Path:
    """A qcow2 of which a guest has zeroed some clusters, data and none.

    What was there before still lies in the file, where it is not read.
    """
    path = qcow2(directory, contents=contents)
    zeros = ['-c', 'write -z 0 128k', '-c', 'write -z 3M 1M']
    run(['qemu-io', '-f', 'qcow2', *zeros, str(path)])
    guest = str(directory / 'guest.raw')
    run(['qemu-io', '-f', 'raw', *zeros, guest])
    return path


def iso(directory: Path) -> Path:
    """The start of an ISO 9660 file system: volume descriptors, no files.

    https://wiki.osdev.org/ISO_9660
    """
    blocks = 32
    volume = bytearray(2048)
    volume[0:7] = b'\x01CD001\x01'
    volume[80:88] = struct.pack('<I', blocks) + struct.pack('>I', blocks)
    volume[128:132] = struct.pack('<H', 2048) + struct.pack('>H', 2048)
    end = b'\xffCD001\x01'.ljust(2048, b'\0')
    path = directory / 'image.iso'
    image = bytes(16 * 2048) + volume + end
    path.write_bytes(image.ljust(blocks * 2048, b'\0'))
    return path


GOOD: Mapping[str, Builder] = {
    'qcow2': qcow2,
    'qcow2-compat-0.10': partial(qcow2, options='compat=0.10'),
    'qcow2-zlib': partial(qcow2, contents=TEXT, compress=True),
    'qcow2-zstd': partial(
        qcow2, contents=TEXT, compress=True, options='compression_type=zstd'
    ),
    'qcow2-clusters-of-4k': partial(qcow2, options='cluster_size=4k'),
    'qcow2-clusters-of-2M': partial(qcow2, options='cluster_size=2M'),
    'qcow2-zeroed': zeroed,
    'qcow2-empty': partial(qcow2, contents=EMPTY),
    'qcow2-2TiB': partial(qcow2, contents=HUGE),
    'vmdk-sparse': partial(
        converted, driver='vmdk', options='subformat=monolithicSparse'
    ),
    'vmdk-stream': partial(
        converted, driver='vmdk', options='subformat=streamOptimized'
    ),
    'vdi': partial(converted, driver='vdi'),
    # Without force_size the size is rounded to what cylinders allow.
    'vhd': partial(
        converted, driver='vpc', options='subformat=dynamic,force_size=on'
    ),
    'vhdx': partial(converted, driver='vhdx'),
}


# Hostile ones -------------------------------------------------------------


def _create(path: Path, *arguments: str) -> Path:
    run(['qemu-img', 'create', '-q', *arguments])
    return path


def _patch(path: Path, offset: int, data: bytes | bytearray) -> Path:
    with path.open('r+b') as file:
        file.seek(offset)
        file.write(data)
    return path


def backing_file(directory: Path) -> Path:
    """A qcow2 that shows a file of the host where it has no data."""
    path = directory / 'backing.qcow2'
    options = ['-f', 'qcow2', '-u', '-b', SECRET, '-F', 'raw', str(path)]
    return _create(path, *options, '64M')


def data_file(directory: Path) -> Path:
    """A qcow2 that keeps its data in another file, which is a secret."""
    path = directory / 'data-file.qcow2'
    other = directory / 'other'
    options = f'data_file={other},data_file_raw=on'
    _create(path, '-f', 'qcow2', '-o', options, str(path), '64M')
    # The header names it by the path given, and ends it by its length.
    name = SECRET.encode()
    head = path.read_bytes()
    old = str(other).encode()
    at = head.index(old)
    _patch(path, at - 4, struct.pack('>I', len(name)))
    return _patch(path, at, name.ljust(len(old), b'\0'))


def encrypted(directory: Path) -> Path:
    """A qcow2 encrypted in the old way (AES), with the passphrase 'x'."""
    return _encrypted(directory, 'format=aes')


def encrypted_luks(directory: Path) -> Path:
    """A qcow2 encrypted by LUKS, with the passphrase 'x'.

    Takes seconds: qemu-img measures how long it takes to derive a key, and
    fails if the machine was too busy for that ("Unable to get accurate CPU
    usage"), hence the retries.
    """
    return tenacity.Retrying(stop=tenacity.stop_after_attempt(5))(
        _encrypted, directory, 'format=luks,encrypt.iter-time=10'
    )


def _encrypted(directory: Path, method: str) -> Path:
    path = directory / 'encrypted.qcow2'
    secret = ['--object', 'secret,id=s,data=x']
    options = ['-o', f'encrypt.{method},encrypt.key-secret=s']
    return _create(path, *secret, '-f', 'qcow2', *options, str(path), '64M')


def unknown_feature(directory: Path) -> Path:
    """A qcow2 with incompatible feature bit 5, which means nothing yet."""
    # https://www.qemu.org/docs/master/interop/qcow2.html, bytes 72 to 79
    return _patch(qcow2(directory), 72, struct.pack('>Q', 1 << 5))


def extended_l2(directory: Path) -> Path:
    """A sound qcow2 with subclusters (bit 4), which oslo.utils refuses."""
    return qcow2(directory, options='extended_l2=on,cluster_size=128k')


def truncated(directory: Path) -> Path:
    """A qcow2 of which the second half is missing.

    qemu-img reads zeros there and reports no error.
    """
    path = qcow2(directory)
    with path.open('r+b') as file:
        file.truncate(path.stat().st_size // 2)
    return path


def nested(directory: Path) -> Path:
    """A sound qcow2 whose guest's disk is a qcow2 with a backing file.

    Harmless as it is; its raw copy is not, if somebody guesses the format
    (CVE-2024-40767).
    """
    path = directory / 'nested.qcow2'
    inner = str(backing_file(directory))
    convert = ['qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2']
    run([*convert, inner, str(path)])
    return path


def bomb(directory: Path) -> Path:
    """A qcow2 of some 200 KiB that says it is 4 EiB large."""
    path = directory / 'bomb.qcow2'
    _create(path, '-f', 'qcow2', str(path), '64M')
    return _patch(path, 24, struct.pack('>Q', 1 << 62))


def _descriptor(kind: str, extent: str) -> str:
    # "Virtual Disk Format 5.0", VMware, 2011
    return (
        '# Disk DescriptorFile\nversion=1\nCID=fffffffe\nparentCID=ffffffff\n'
        f'createType="{kind}"\n\n{extent}\n\n'
        'ddb.virtualHWVersion = "4"\nddb.geometry.cylinders = "2"\n'
        'ddb.geometry.heads = "16"\nddb.geometry.sectors = "63"\n'
        'ddb.adapterType = "ide"\n'
    )


def vmdk_descriptor(directory: Path) -> Path:
    """A vmdk of text only, whose data is a file of the host."""
    path = directory / 'descriptor.vmdk'
    path.write_text(_descriptor('monolithicFlat', f'RW 8 FLAT "{SECRET}" 0'))
    return path


def vmdk_embedded(directory: Path) -> Path:
    """A sparse vmdk whose own descriptor names a file of the host.

    QEMU 7.2 does not follow it, others might.
    """
    path = converted(directory, 'vmdk', options='subformat=monolithicSparse')
    # in sectors of 512 bytes: where the descriptor is and how long it is
    start, length = struct.unpack('<QQ', path.read_bytes()[28:44])
    text = _descriptor('monolithicFlat', f'RW 8 FLAT "{SECRET}" 0')
    return _patch(path, start * 512, text.encode().ljust(length * 512, b'\0'))


def vmdk_parent(directory: Path) -> Path:
    """A vmdk that shows another image where it has no data."""
    base = directory / 'parent.vmdk'
    _create(base, '-f', 'vmdk', str(base), '64M')
    path = directory / 'child.vmdk'
    options = ['-f', 'vmdk', '-b', str(base), '-F', 'vmdk', str(path)]
    return _create(path, *options)


def vhd_parent(directory: Path) -> Path:
    """A vhd that says it holds the differences from another image.

    QEMU 7.2 takes it for a dynamic one: zeros instead of the parent's data.
    """
    path = GOOD['vhd'](directory)
    size = path.stat().st_size
    # "Virtual Hard Disk Image Format Specification", Microsoft, 2006: the
    # footer stands at both ends; type (4: differencing) at 60, checksum at 64
    footer = bytearray(path.read_bytes()[-512:])
    footer[60:68] = struct.pack('>II', 4, 0)
    footer[64:68] = struct.pack('>I', ~sum(footer) & 0xFFFFFFFF)
    return _patch(_patch(path, 0, footer), size - 512, footer)


def mismatch(directory: Path) -> Path:
    """A raw disk that is called qcow2."""
    return raw(directory).rename(directory / 'raw.qcow2')


def garbage(directory: Path) -> Path:
    """Random bytes behind the first four of a qcow2."""
    path = directory / 'garbage.qcow2'
    path.write_bytes(b'QFI\xfb' + random.Random(0).randbytes(MIB))
    return path


HOSTILE: Mapping[str, Builder] = {
    builder.__name__: builder
    for builder in (
        backing_file,
        data_file,
        encrypted,
        encrypted_luks,
        unknown_feature,
        extended_l2,
        truncated,
        nested,
        bomb,
        vmdk_descriptor,
        vmdk_embedded,
        vmdk_parent,
        vhd_parent,
        mismatch,
        garbage,
    )
}
