# SPDX-License-Identifier: Apache-2.0
"""Conversions by the real qemu-img: from file to file, stopped and limited.

Slow ones read QEMU's null device, which answers as late as it is told to.
"""

import os
import shutil
import threading
import time

import pytest

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import nodes
from glance_rawstore import safety
from tests.unit.headers import Memory
from tests.waiting import DEADLINE

pytestmark = pytest.mark.skipif(
    shutil.which('qemu-img') is None, reason='qemu-img is not installed'
)

MIB = 1 << 20
GIB = 1 << 30
LIMITS = child.Limits(address_space=4 * GIB, cpu_time=60, stall=DEADLINE)
NEVER = 10**13  # in nanoseconds
# One image of tests/images.py for each way of being read.
GOOD = (
    *('qcow2', 'qcow2-zlib', 'qcow2-zstd', 'vmdk-sparse', 'vmdk-stream'),
    *('vdi', 'vhd', 'vhdx'),
)


def device(size, latency=0):
    """A source and a target of that size, in bytes; latency in ns."""
    target = {'driver': 'null-co', 'size': size, 'latency-ns': latency}
    source = nodes.source('raw', target | {'read-zeroes': False})
    return source, {'driver': 'null-co', 'size': size}


def run(source, target, limits=LIMITS, requests=1, **calls):
    convert.QemuImg(limits).convert(
        source, target, requests, child.Callbacks(**calls)
    )


def file_node(path):
    return {'driver': 'file', 'filename': str(path)}


@pytest.fixture
def impatient(monkeypatch):
    """Look more often than twice a second."""
    monkeypatch.setattr(child, '_WATCH', 0.02)
    monkeypatch.setattr(child, '_ASK_FULL', 0.1)


def test_every_good_image_becomes_the_guests_disk(images, tmp_path):
    contents = images.Contents(size=8 * MIB, data=768 << 10)
    drivers = {'vhd': 'vpc'}
    for name in GOOD:
        build = images.GOOD[name]
        directory = tmp_path / name
        directory.mkdir()
        path = build(directory, contents=contents)
        copy = directory / 'copy'
        copy.touch()
        copy.open('r+b').truncate(8 * MIB)
        driver = drivers.get(path.suffix[1:], path.suffix[1:])
        source = nodes.source(driver, file_node(path))
        told = []

        info = convert.QemuImg(LIMITS).info(source)
        run(source, file_node(copy), requests=16, progress=told.append)

        assert info.virtual_size == 8 * MIB, name
        assert copy.read_bytes() == (directory / 'guest.raw').read_bytes()
        assert told == sorted(told)


@pytest.mark.parametrize('cluster_size', [512, 4096, 65536, 2 << 20])
def test_a_qcow2_of_any_cluster_size_becomes_the_guests_disk(
    images, tmp_path, cluster_size
):
    contents = images.Contents(size=8 * MIB, data=768 << 10)
    options = f'cluster_size={cluster_size}'
    path = images.qcow2(tmp_path, contents=contents, options=options)
    copy = tmp_path / 'copy'
    copy.touch()
    copy.open('r+b').truncate(8 * MIB)
    found = safety.inspect(Memory(path.read_bytes()), 'qcow2', 8 * MIB)

    source = nodes.source('qcow2', file_node(path), found.cluster_size)
    run(source, file_node(copy))

    assert found.cluster_size == cluster_size
    assert copy.read_bytes() == (tmp_path / 'guest.raw').read_bytes()


def test_few_zeros_among_data_are_written_and_many_are_left_out(tmp_path):
    """Each stretch of data is a request to the OSD, however short."""
    path, copy = tmp_path / 'guest', tmp_path / 'copy'
    block = convert.ZEROS
    half = block // 2
    among = b'x' * half + bytes(half) + b'x' * block
    path.write_bytes(among + bytes(4 * block) + b'x' * block)
    copy.touch()
    copy.open('r+b').truncate(path.stat().st_size)

    run(nodes.source('raw', file_node(path)), file_node(copy))

    assert copy.read_bytes() == path.read_bytes()
    with copy.open('rb') as written:
        assert os.lseek(written.fileno(), 0, os.SEEK_HOLE) == 2 * block
        assert os.lseek(written.fileno(), 2 * block, os.SEEK_DATA) == 6 * block


def test_allocated_data_is_measured_without_metadata(images, tmp_path):
    contents = images.Contents(size=64 * MIB, data=6 * MIB)
    path = images.qcow2(tmp_path, contents=contents)

    info = convert.QemuImg(LIMITS).info(nodes.source('qcow2', file_node(path)))

    # three stretches, each rounded to clusters of 64 KiB at both ends
    assert 6 * MIB <= info.allocated <= 6 * MIB + 6 * 65536


def test_the_size_of_a_qcow2_need_not_be_asked_for(images, tmp_path):
    contents = images.Contents(size=64 * MIB + 512, data=6 * MIB)
    path = images.qcow2(tmp_path, contents=contents)
    source = nodes.source('qcow2', file_node(path))
    found = safety.inspect(Memory(path.read_bytes()), 'qcow2', 65 * MIB)

    info = convert.QemuImg(LIMITS).info(source, found.sure_size)

    assert info.virtual_size == 64 * MIB + 512
    assert info == convert.QemuImg(LIMITS).info(source)


def test_a_disk_that_is_smaller_than_its_header_said_is_refused(
    images, tmp_path
):
    path = images.qcow2(tmp_path, contents=images.Contents(size=MIB, data=0))
    source = nodes.source('qcow2', file_node(path))

    with pytest.raises(exceptions.ConversionFailed):
        convert.QemuImg(LIMITS).info(source, MIB + 512)


def test_a_disk_that_is_larger_than_its_header_said_is_refused(
    images, tmp_path
):
    path = images.qcow2(tmp_path, contents=images.Contents(size=MIB, data=0))
    copy = tmp_path / 'copy'
    copy.touch()
    copy.open('r+b').truncate(MIB - 512)

    with pytest.raises(exceptions.ConversionFailed):
        run(nodes.source('qcow2', file_node(path)), file_node(copy))


def test_nothing_is_allocated_in_an_empty_image(images, tmp_path):
    path = images.qcow2(tmp_path, contents=images.EMPTY)

    info = convert.QemuImg(LIMITS).info(nodes.source('qcow2', file_node(path)))

    assert info.allocated == 0


def test_a_target_may_have_any_name(images, tmp_path):
    path = images.raw(tmp_path, images.Contents(size=MIB, data=1000))
    copy = tmp_path / 'a,b=c,,file.driver=null-co "%d" \N{SNOWMAN}'
    copy.touch()
    copy.open('r+b').truncate(MIB)

    run(nodes.source('raw', file_node(path)), file_node(copy))

    assert copy.read_bytes() == path.read_bytes()


def test_what_is_no_image_fails(tmp_path):
    path = tmp_path / 'x'
    path.write_bytes(bytes(MIB))

    with pytest.raises(exceptions.ConversionFailed, match='damaged'):
        convert.QemuImg(LIMITS).info(nodes.source('qcow2', file_node(path)))


def test_the_backing_file_is_not_opened(images, tmp_path):
    path = images.backing_file(tmp_path)

    info = convert.QemuImg(LIMITS).info(nodes.source('qcow2', file_node(path)))

    assert info.allocated == 0


def test_progress_is_told_while_it_runs():
    told = []

    run(*device(10 * MIB, latency=30_000_000), progress=told.append)

    # A busy machine may see several at once, and is told of the last.
    assert set(told) <= {0.2, 0.4, 0.6, 0.8, 1.0}
    assert told[-1] == 1.0


@pytest.mark.usefixtures('impatient')
def test_it_stops_with_what_it_was_told_to_stop_with():
    reason = exceptions.Cancelled('the image was deleted')

    with pytest.raises(exceptions.Cancelled) as caught:
        run(*device(GIB, NEVER), stop=lambda: reason)

    assert caught.value is reason


@pytest.mark.usefixtures('impatient')
def test_it_is_given_up_without_progress():
    limits = child.Limits(4 * GIB, 60, stall=0.3)

    with pytest.raises(exceptions.Stalled, match='no progress'):
        run(*device(GIB, NEVER), limits=limits)


@pytest.mark.usefixtures('impatient')
def test_it_is_not_given_up_while_there_is_progress():
    limits = child.Limits(4 * GIB, 60, stall=1.0)
    started = time.monotonic()

    run(*device(32 * MIB, latency=80_000_000), limits=limits)

    assert time.monotonic() - started > 1.0


@pytest.mark.usefixtures('impatient')
def test_a_full_target_is_asked_about_again_and_again():
    """It gets its flag seconds after the writes that filled it."""
    answers = [False, False, True]

    with pytest.raises(exceptions.NoSpace):
        run(*device(GIB, NEVER), full=lambda: answers.pop(0))

    assert answers == []


@pytest.mark.usefixtures('impatient')
@pytest.mark.parametrize('name', ['stop', 'full'])
@pytest.mark.filterwarnings(
    'ignore::pytest.PytestUnhandledThreadExceptionWarning'
)
def test_a_question_that_fails_does_not_end_the_watch(name):
    """The cluster may be away for a moment, and it must not end for that."""
    asked = []

    def fail_once():
        asked.append(name)
        if len(asked) == 1:
            raise exceptions.CephUnavailable('away')
        return exceptions.NoSpace('full')

    # ends by itself in some seconds, should nobody watch any more
    with pytest.raises(exceptions.NoSpace):
        run(*device(2 * MIB, 4 * 10**9), **{name: fail_once})


def test_no_thread_outlives_its_conversion():
    before = {*threading.enumerate()}

    run(*device(MIB))

    assert {*threading.enumerate()} <= before


def pattern(path, *changes):
    """A file of 2 MiB in which some bytes are another's."""
    data = bytearray(b'guest' * (2 * MIB // 5 + 1))[: 2 * MIB]
    for at in changes:
        data[at] ^= 255
    path.write_bytes(data)
    return nodes.source('raw', file_node(path))


def compare(one, other, **calls):
    qemu_img = convert.QemuImg(LIMITS)
    return qemu_img.compare(one, other, child.Callbacks(**calls))


def test_two_disks_are_compared_to_the_byte(tmp_path):
    one = pattern(tmp_path / 'one')
    told = []

    assert (
        compare(one, pattern(tmp_path / 'two'), progress=told.append) is None
    )
    assert told[-1] == 1.0
    for at in (0, MIB + 7, 2 * MIB - 1):
        first = compare(one, pattern(tmp_path / 'two', at))

        # where the sector begins in which the difference is
        assert first is not None
        assert first <= at < first + 512


def test_what_cannot_be_read_is_not_taken_for_a_difference(tmp_path):
    absent = nodes.source('raw', file_node(tmp_path / 'absent'))

    with pytest.raises(exceptions.ConversionFailed):
        compare(pattern(tmp_path / 'one'), absent)
