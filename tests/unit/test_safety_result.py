# SPDX-License-Identifier: Apache-2.0
"""The guest's disk must not be a disk image in itself (CVE-2024-40767).

Whoever has qemu guess the format of a raw copy would follow the files that
such a disk names; so what counts is what qemu takes it for.
"""

import contextlib
import json
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import exceptions
from glance_rawstore import safety
from tests.unit import headers
from tests.unit.headers import MIB
from tests.unit.headers import Memory

SECRET = '/etc/passwd'
LEAK = headers.descriptor('monolithicFlat', f'RW 8 FLAT "{SECRET}" 0')

# Guest disks that qemu opens as something else than raw.
NESTED = {
    'qcow2': headers.qcow2(),
    'qcow': b'QFI\xfb\0\0\0\1'.ljust(1024, b'\0'),
    'qed': b'QED\0'.ljust(1024, b'\0'),
    'vdi': headers.vdi(),
    'vhd': headers.vhd(),
    'vmdk-sparse': headers.vmdk(),
    'vmdk-esx': b'COWD\1\0\0\0'.ljust(1024, b'\0'),
    'vmdk-text': LEAK,
}
# The same, where oslo.utils' inspector sees nothing it knows, but qemu reads
# the file that is named.
DISGUISED = {
    'text-then-zeros': LEAK.ljust(MIB, b'\0'),
    'text-then-bytes': LEAK + b'\0' + b'\xff' * 4096,
    'text-not-ascii': LEAK.replace(b'# Disk', b'# \xc3\xa4', 1) + bytes(512),
    'descriptor-elsewhere': headers.vmdk(LEAK, 0, at=4, cid_at_1=True),
}
# What guests do begin with.
ORDINARY = {
    'zeros': bytes(MIB),
    'nothing': b'',
    'boot-sector': b'\xeb\x63\x90'.ljust(510, b'\0') + b'\x55\xaa',
    'text': b'#!/bin/sh\necho version=1\n'.ljust(4096, b'\n'),
    'text-then-zeros': b'# a comment\nand more'.ljust(4096, b'\0'),
    'magic-elsewhere': bytes(512) + headers.qcow2(),
}


@pytest.mark.parametrize('name', NESTED | DISGUISED)
def test_a_disk_that_is_an_image_in_itself_is_refused(name):
    data = (NESTED | DISGUISED)[name]

    with pytest.raises(exceptions.UnsafeImage) as caught:
        safety.inspect_result(Memory(data.ljust(MIB, data[-1:])))

    assert caught.value.checks == ('nested_format',)


@pytest.mark.parametrize('name', DISGUISED)
def test_qemu_does_follow_what_is_disguised(name, qemu_img, tmp_path):
    """Else the test above would refuse what is harmless."""
    path = tmp_path / 'disk'
    path.write_bytes(DISGUISED[name].ljust(MIB, DISGUISED[name][-1:]))

    shown = subprocess.run(
        [qemu_img, 'info', '--output=json', str(path)],
        capture_output=True,
        timeout=30,
        check=True,
    ).stdout

    assert json.loads(shown)['format'] == 'vmdk'
    assert SECRET in shown.decode()


@pytest.mark.parametrize('name', ORDINARY)
def test_an_ordinary_disk_is_accepted(name):
    safety.inspect_result(Memory(ORDINARY[name]))


def test_a_whole_image_within_an_image_is_refused(images, tmp_path):
    inner = images.HOSTILE['backing_file'](tmp_path)

    with pytest.raises(exceptions.UnsafeImage, match='itself a qcow2'):
        safety.inspect_result(Memory(inner.read_bytes()))


@given(st.binary(max_size=2000))
def test_a_result_is_accepted_or_refused_and_nothing_else(data):
    with contextlib.suppress(exceptions.UnsafeImage):
        safety.inspect_result(Memory(data))
