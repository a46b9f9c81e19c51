# SPDX-License-Identifier: Apache-2.0
"""Spools: nameless, bounded, and readable by the child that needs them."""

import contextlib
import os
import resource
import shutil
import subprocess
import tempfile
from unittest import mock

import pytest

from glance_rawstore import exceptions
from glance_rawstore import sources

MIB = 1 << 20


def left(directory):
    """What stands in a directory, and what open files of ours lie there."""
    named = os.listdir(directory)
    opened = []
    for number in os.listdir('/proc/self/fd'):
        with contextlib.suppress(FileNotFoundError):
            target = os.readlink(f'/proc/self/fd/{number}')
            if target.startswith(str(directory)):
                opened.append(target)
    return named, opened


@contextlib.contextmanager
def no_file_longer_than(size):
    """What a full disk looks like from within: writing fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def open_spool(directory, expected):
    with sources.spool(str(directory), expected):
        pass


def fill_spool(directory, chunks):
    with sources.spooled(str(directory), chunks, 0):
        pass


def test_a_spool_has_no_name(tmp_path):
    with sources.spool(str(tmp_path), 0):
        named, opened = left(tmp_path)

        assert named == []
        assert len(opened) == 1


@pytest.mark.parametrize('error', [None, ZeroDivisionError])
def test_nothing_is_left_of_a_spool(tmp_path, error):
    with (
        contextlib.suppress(ZeroDivisionError),
        sources.spool(str(tmp_path), 0) as file,
    ):
        file.write(b'x' * MIB)
        if error:
            raise error

    assert left(tmp_path) == ([], [])


def test_the_scratch_directory_is_made_for_us_alone(tmp_path):
    directory = tmp_path / 'new' / 'scratch'

    with sources.spool(str(directory), 0):
        assert directory.stat().st_mode & 0o777 == 0o700


def test_too_little_space_is_noticed_before_anything_is_written(tmp_path):
    free = shutil.disk_usage(tmp_path).free

    with pytest.raises(exceptions.NoSpace, match='GiB are needed'):
        open_spool(tmp_path, free - sources.RESERVE + MIB)

    assert left(tmp_path) == ([], [])


@pytest.mark.parametrize(
    ('free', 'expected', 'enough'),
    [
        (sources.RESERVE + 10, 10, True),
        (sources.RESERVE + 10, 11, False),
        (sources.RESERVE, 0, True),
        (sources.RESERVE - 1, 0, False),
        (0, 0, False),
    ],
)
def test_a_reserve_is_left_for_others(tmp_path, free, expected, enough):
    usage = mock.Mock(free=free)
    with mock.patch.object(shutil, 'disk_usage', return_value=usage):
        if enough:
            open_spool(tmp_path, expected)
            return
        with pytest.raises(exceptions.NoSpace) as caught:
            open_spool(tmp_path, expected)
        assert '-' not in str(caught.value), 'no less than nothing is free'


def test_no_host_or_path_is_in_the_message(tmp_path):
    with pytest.raises(exceptions.NoSpace) as caught:
        open_spool(tmp_path, 1 << 62)

    assert str(tmp_path) not in str(caught.value)


def test_chunks_are_spooled_and_read_at_any_offset(tmp_path):
    chunks = [b'abc', b'', b'd' * 3 * MIB, b'xyz']
    data = b''.join(chunks)

    with sources.spooled(str(tmp_path), iter(chunks), len(data)) as source:
        assert source.size == len(data)
        assert source.read(0, 5) == b'abcdd'
        assert source.read(len(data) - 3, 100) == b'xyz'
        assert source.read(len(data), 10) == b''
        assert source.read(0, len(data)) == data

    assert left(tmp_path) == ([], [])


def test_nothing_spooled_is_an_empty_source(tmp_path):
    with sources.spooled(str(tmp_path), [], 0) as source:
        assert source.size == 0
        assert source.read(0, 10) == b''


def test_a_source_that_breaks_leaves_nothing(tmp_path):
    def breaking():
        yield b'x' * MIB
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill_spool(tmp_path, breaking())

    assert left(tmp_path) == ([], [])


# in bytes: less than the file's buffer, a few of these, more than it
@pytest.mark.parametrize('chunk', [100, 3000, MIB])
def test_a_disk_that_fills_up_is_told_as_such(tmp_path, chunk):
    chunks = [b'x' * chunk] * 100

    with (
        no_file_longer_than(5000),
        pytest.raises(exceptions.NoSpace, match='is full'),
    ):
        fill_spool(tmp_path, chunks)

    assert left(tmp_path) == ([], [])


def test_another_process_reads_a_spool_by_its_node(tmp_path):
    """As qemu-img does; the file itself has no name."""
    with sources.spooled(str(tmp_path), [b'guest data'], 0) as source:
        assert source.node['driver'] == 'file'
        read = subprocess.run(
            ['cat', source.node['filename']], capture_output=True, timeout=20
        )

    assert read.stdout == b'guest data'


def test_qemu_img_reads_a_spool_by_its_node(tmp_path, qemu_img):
    with sources.spooled(str(tmp_path), [bytes(MIB)], 0) as source:
        name = source.node['filename']
        subprocess.run(
            [qemu_img, 'info', '-f', 'raw', name],
            capture_output=True,
            timeout=20,
            check=True,
        )


def test_any_open_file_can_be_a_source():
    with tempfile.TemporaryFile() as file:
        file.write(b'0123456789')
        file.flush()
        source = sources.FileSource(file)

        assert source.read(2, 3) == b'234'
        assert file.tell() == 10, 'reading does not move the file'


def test_a_spool_that_proc_does_not_show_has_a_name_while_it_is_needed(
    tmp_path, monkeypatch
):
    """As under a uWSGI that has changed its user itself."""
    monkeypatch.setattr(sources, 'others_may_look', lambda: False)

    with sources.spooled(str(tmp_path), [b'abc'], 3) as source:
        name = source.node['filename']
        assert name.startswith(str(tmp_path))
        with open(name, 'rb') as file:
            assert file.read() == b'abc'

    assert list(tmp_path.iterdir()) == []
