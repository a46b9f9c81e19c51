# SPDX-License-Identifier: Apache-2.0
"""Staged files that are held: read under no name, and told when changed."""

import os
import subprocess
import time

import pytest

from glance_rawstore import sources
from glance_rawstore import staged

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 17)


@pytest.fixture
def path(tmp_path):
    found = tmp_path / 'staged'
    found.write_bytes(DATA)
    return found


@pytest.fixture
def held(path):
    found = staged.hold(f'file://{path}')
    yield found
    found.close()


def test_it_is_read_when_its_name_is_gone(held, path):
    path.unlink()

    assert held.size == len(DATA)
    assert held.source().read(5, MIB) == DATA[5 : 5 + MIB]
    assert held.settled(time.sleep)
    assert held.unchanged()


def test_a_child_can_read_it_when_its_name_is_gone(held, path):
    path.unlink()
    name = held.source().node['filename']

    found = subprocess.run(['cat', name], capture_output=True, check=True)

    assert found.stdout == DATA


def test_qemu_does_not_keep_others_from_writing(held):
    """An import plugin that comes after ours may have to."""
    assert held.source().node['locking'] == 'off'


def test_another_file_in_its_place_is_not_read(held, path):
    other = path.with_name('other')
    other.write_bytes(b'other')
    os.replace(other, path)

    assert held.source().read(0, 10) == DATA[:10]
    assert held.unchanged(), 'it is still what was held'


def overwrite(path):
    with path.open('r+b') as file:
        file.write(b'x')


def truncate(path):
    os.truncate(path, 5)


def append(path):
    with path.open('ab') as file:
        file.write(b'x')


@pytest.mark.parametrize('change', [overwrite, truncate, append])
def test_a_change_is_noticed_once_it_has_settled(held, path, change):
    assert held.settled(time.sleep)

    change(path)

    assert not held.unchanged()
    assert not held.settled(time.sleep)


def test_one_that_is_being_changed_does_not_settle(held, path):
    """Two changes at once may have the same time; so it waits a moment."""
    waits = []

    def wait(seconds):
        waits.append(seconds)
        time.sleep(0.02)
        overwrite(path)

    assert not held.settled(wait)
    assert len(waits) == 1


def test_whole_seconds_are_too_coarse_to_tell(path):
    os.utime(path, ns=(10**18, 10**18))
    held = staged.hold(f'file://{path}')

    assert not held.settled(time.sleep)
    held.close()


def test_what_is_not_a_staged_file_is_not_held(tmp_path, path):
    (tmp_path / 'link').symlink_to(path)
    (tmp_path / 'empty').touch()
    os.mkfifo(tmp_path / 'fifo')
    names = ('link', 'empty', 'fifo', 'missing', '.')
    uris = [f'file://{tmp_path / name}' for name in names]
    before = os.listdir('/proc/self/fd')

    for uri in [*uris, None, '', 'http://host/image', str(path)]:
        assert staged.hold(uri) is None, uri

    assert os.listdir('/proc/self/fd') == before


def test_what_qemu_img_could_not_reach_is_not_held(path, monkeypatch):
    monkeypatch.setattr(sources, 'others_may_look', lambda: False)

    assert staged.hold(f'file://{path}') is None


def test_closing_is_repeatable(held):
    held.close()
    held.close()


@pytest.mark.parametrize(
    ('choice', 'cores', 'load', 'beside'),
    [
        ('auto', 2, 0.0, False),
        ('auto', 3, 0.0, True),
        ('auto', 3, 0.1, False),
        ('auto', 64, 61.0, True),
        ('auto', 64, 61.1, False),
        ('auto', 4, 300.0, False),
        ('always', 1, 300.0, True),
        ('after', 64, 0.0, False),
        ('never', 64, 0.0, False),
    ],
)
def test_it_is_converted_beside_the_upload_by_cores_that_are_idle(
    choice, cores, load, beside
):
    assert staged.beside(choice, cores, load) is beside


def test_the_load_of_this_node_is_known():
    cores, load = staged.load()

    assert 1 <= cores <= os.cpu_count()
    assert load >= 0
