# SPDX-License-Identifier: Apache-2.0
"""What may be converted, and what qemu-img does not get to see."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import safety
from tests.unit import headers
from tests.unit.headers import MIB
from tests.unit.headers import Memory

LIMIT = 4096 << 30  # in bytes

# Built by tests/images.py; each with the checks that refuse it. Those with
# none cannot be told from their bytes, or are refused for their size.
HOSTILE = {
    'backing_file': {'backing_file'},
    'data_file': {'data_file'},
    'encrypted': {'encryption'},
    'unknown_feature': {'unknown_features'},
    'extended_l2': {'unknown_features'},
    'vmdk_descriptor': {'descriptor'},
    'vmdk_embedded': {'descriptor'},
    'vmdk_parent': {'parent'},
    'vhd_parent': {'parent'},
    'mismatch': {'format_mismatch'},
    'garbage': {
        'backing_file',
        'data_file',
        'encryption',
        'unknown_features',
    },
}
# Refused by other means, each by a test of its own here or elsewhere.
ELSEWHERE = {
    'bomb',  # below
    'nested',  # test_safety_result.py
    'truncated',  # its header is sound; qemu-img reads zeros
    'encrypted_luks',  # as encrypted, but takes 5 s to build
}


def inspect(data, disk_format='qcow2', limit=LIMIT):
    return safety.inspect(Memory(data), disk_format, limit)


def test_good_images_are_accepted_with_their_size(images, tmp_path):
    contents = images.Contents(size=8 * MIB, data=768 << 10)
    for name, build in images.GOOD.items():
        directory = tmp_path / name
        directory.mkdir()
        path = build(directory, contents=contents)

        verdict = inspect(path.read_bytes(), path.suffix[1:])

        assert verdict.virtual_size == 8 * MIB, name
        assert verdict.driver == formats.CONVERTIBLE[path.suffix[1:]], name


@pytest.mark.parametrize('name', HOSTILE)
def test_a_hostile_image_is_refused_by_name(name, images, tmp_path):
    path = images.HOSTILE[name](tmp_path)

    with pytest.raises(exceptions.UnsafeImage) as caught:
        inspect(path.read_bytes(), path.suffix[1:])

    assert set(caught.value.checks) == HOSTILE[name]


def test_every_hostile_image_has_its_test(images):
    assert set(HOSTILE) | ELSEWHERE >= set(images.HOSTILE)


def test_an_image_that_says_it_is_immense_is_refused(images, tmp_path):
    path = images.HOSTILE['bomb'](tmp_path)

    with pytest.raises(exceptions.TooLarge, match='4096 GiB'):
        inspect(path.read_bytes())


@pytest.mark.parametrize('declared', formats.CONVERTIBLE)
@pytest.mark.parametrize(
    ('real', 'data'),
    [
        ('qcow2', headers.qcow2()),
        ('vmdk', headers.vmdk()),
        ('vdi', headers.vdi()),
        ('vhd', headers.vhd()),
        ('raw', bytes(2 * MIB)),
        ('empty', b''),
        ('tiny', b'QFI'),
    ],
)
def test_a_format_that_the_data_does_not_have_is_refused(declared, real, data):
    if declared == real:
        assert inspect(data, declared).disk_format == real
        return
    with pytest.raises(exceptions.UnsafeImage):
        inspect(data, declared)


@pytest.mark.parametrize('version', [0, 1, 4, 255])
def test_an_odd_version_of_qcow2_is_refused(version):
    with pytest.raises(exceptions.UnsafeImage):
        inspect(headers.qcow2(version))


@pytest.mark.parametrize('bit', range(64))
def test_incompatible_features_of_qcow2_are_those_that_are_known(bit):
    """Dirty (0), corrupt (1) and compression type (3) may be there."""
    data = headers.qcow2(incompatible=1 << bit)
    if bit in (0, 1, 3):
        assert inspect(data).virtual_size == 64 * MIB
        return
    with pytest.raises(exceptions.UnsafeImage) as caught:
        inspect(data)
    expected = {'data_file'} if bit == 2 else {'unknown_features'}
    assert set(caught.value.checks) == expected


@pytest.mark.parametrize('method', [1, 2, 3, 0xFFFFFFFF])
@pytest.mark.parametrize('version', [2, 3])
def test_any_encryption_is_refused(version, method):
    with pytest.raises(exceptions.UnsafeImage, match='is encrypted'):
        inspect(headers.qcow2(version, crypt_method=method))


def test_a_vmdk_of_text_alone_is_refused():
    """Its data is in other files, whatever they are called."""
    with pytest.raises(exceptions.UnsafeImage):
        inspect(headers.descriptor(), 'vmdk')


@pytest.mark.parametrize('length', [0, 4, 7, 9])
def test_a_vhdx_whose_size_is_no_number_is_refused(length, images, tmp_path):
    """The length of its field is the image's to name."""
    data = bytearray(images.GOOD['vhdx'](tmp_path).read_bytes())
    # "Virtual Hard Disk Format v2": {2FA54224-CD1B-4876-B211-5DBED83BF4B8}
    guid = bytes.fromhex('2442a52f1bcd7648b2115dbed83bf4b8')
    at = data.index(guid) + 20
    data[at : at + 4] = struct.pack('<I', length)

    with pytest.raises(exceptions.Refused):
        inspect(bytes(data), 'vhdx')


@pytest.mark.parametrize('size', [1, 511, 512, LIMIT - 1, LIMIT])
def test_sizes_up_to_the_limit_are_accepted(size):
    assert inspect(headers.qcow2(size=size)).virtual_size == size


@pytest.mark.parametrize('size', [LIMIT + 1, 1 << 62, (1 << 64) - 1])
def test_a_size_beyond_the_limit_is_refused(size):
    with pytest.raises(exceptions.TooLarge):
        inspect(headers.qcow2(size=size))


@pytest.mark.parametrize(
    ('data', 'disk_format'),
    [
        (headers.qcow2(size=0), 'qcow2'),
        (headers.vdi(size=0), 'vdi'),
        (headers.vhd(size=0), 'vhd'),
        # QEMU would look for the data in the descriptor's files
        (headers.vmdk(sectors=0), 'vmdk'),
    ],
)
def test_an_image_without_a_size_is_refused(data, disk_format):
    with pytest.raises(exceptions.UnsafeImage) as caught:
        inspect(data, disk_format)

    assert caught.value.checks == ('virtual_size',)


def test_a_format_without_safety_checks_is_refused():
    with pytest.raises(exceptions.UnsupportedFormat, match='ploop'):
        inspect(bytes(1024), 'ploop')


@given(
    st.sampled_from(sorted(formats.CONVERTIBLE)),
    st.sampled_from([b'', b'QFI\xfb', b'KDMV', b'conectix', b'vhdxfile']),
    st.binary(max_size=3000),
)
def test_random_bytes_are_judged_and_never_break_anything(
    declared, magic, data
):
    with contextlib.suppress(exceptions.Refused):
        inspect(magic + data, declared)
    formats.detect(magic + data)


@given(
    st.lists(st.tuples(st.integers(0, 111), st.integers(0, 255)), max_size=4),
)
def test_a_damaged_qcow2_is_refused_or_taken_by_its_word(changes):
    data = bytearray(headers.qcow2())
    for at, value in changes:
        data[at] = value

    with contextlib.suppress(exceptions.Refused):
        verdict = inspect(bytes(data))
        (size,) = struct.unpack('>Q', data[24:32])
        assert verdict.virtual_size == size
        assert data[0:4] == b'QFI\xfb'
        assert data[8:16] == bytes(8), 'backing file'
        assert data[32:36] == bytes(4), 'encryption'
