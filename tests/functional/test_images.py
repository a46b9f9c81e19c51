# SPDX-License-Identifier: Apache-2.0
"""The images that other tests rely on are what they say."""

from pathlib import Path

import pytest
from oslo_utils.imageutils import format_inspector

from tests import images
from tests.processes import ProcessError
from tests.processes import run

# What oslo.utils makes of each: the names of its failed checks, or the
# format it sees instead. Nothing means that it has no objection.
OBJECTIONS = {
    'backing_file': {'backing_file'},
    'data_file': {'data_file'},
    'encrypted': set(),
    'encrypted_luks': set(),
    'unknown_feature': {'unknown_features'},
    'extended_l2': {'unknown_features'},
    'truncated': set(),
    'nested': set(),
    'bomb': set(),
    'vmdk_descriptor': {'descriptor'},
    'vmdk_embedded': {'descriptor'},
    'vmdk_parent': set(),
    'vhd_parent': set(),
    'mismatch': {'raw'},
    'garbage': {'backing_file', 'data_file', 'unknown_features'},
}

# What qemu-img says that it cannot open, or gives away when it does.
QEMU = {
    'backing_file': images.SECRET,
    'data_file': images.SECRET,
    'encrypted': 'encrypted: yes',
    'encrypted_luks': 'format: luks',
    'unknown_feature': 'Unknown incompatible feature',
    'extended_l2': 'extended l2: true',
    'bomb': 'Image is too big',
    'vmdk_descriptor': images.SECRET,
    'vmdk_parent': 'parent.vmdk',
    'mismatch': 'not in qcow2 format',
    'garbage': 'Unsupported qcow2 version',
}


def driver(path: Path) -> str:
    return {'.vhd': 'vpc', '.iso': 'raw'}.get(path.suffix, path.suffix[1:])


def objections(path: Path) -> set[str]:
    inspector = format_inspector.detect_file_format(str(path))
    if str(inspector) != path.suffix[1:]:
        return {str(inspector)}
    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        return set(error.failures)
    return set()


def compare(path: Path, guest: Path) -> str:
    formats = ['-f', driver(path), '-F', 'raw']
    return run(['qemu-img', 'compare', *formats, str(path), str(guest)])


def qemu_info(path: Path) -> str:
    try:
        return run(['qemu-img', 'info', '-f', driver(path), str(path)])
    except ProcessError as error:
        return str(error)


@pytest.mark.parametrize('name', images.GOOD)
def test_good_image_shows_the_guest_what_was_put_in(name, tmp_path):
    path = images.GOOD[name](tmp_path)
    guest = tmp_path / 'guest.raw'
    said = compare(path, guest)
    # It only warns of different sizes if there are zeros at the end.
    assert 'Warning' not in said
    assert objections(path) == set()


@pytest.mark.parametrize('builder', [images.raw, images.iso])
def test_unconverted_image_is_recognised(builder, tmp_path):
    assert objections(builder(tmp_path)) == set()


@pytest.mark.parametrize('name', images.HOSTILE)
def test_hostile_image_is_what_it_says(name, tmp_path):
    path = images.HOSTILE[name](tmp_path)
    assert objections(path) == OBJECTIONS[name]
    assert QEMU.get(name, '') in qemu_info(path)


def test_truncated_image_is_converted_without_an_error(tmp_path):
    path = images.truncated(tmp_path)
    target = tmp_path / 'target.raw'
    convert = ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw']
    run([*convert, str(path), str(target)])
    with pytest.raises(ProcessError, match='mismatch'):
        compare(target, tmp_path / 'guest.raw')


def test_nested_image_has_a_hostile_one_for_a_disk(tmp_path):
    path = images.nested(tmp_path)
    disk = tmp_path / 'disk.qcow2'
    convert = ['qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw']
    run([*convert, str(path), str(disk)])
    assert objections(disk) == {'backing_file'}


def test_vhd_with_a_parent_says_so(tmp_path):
    path = images.vhd_parent(tmp_path)
    assert path.read_bytes()[60:64] == b'\0\0\0\4'
    assert 'checksum' not in qemu_info(path)
