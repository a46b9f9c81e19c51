# SPDX-License-Identifier: Apache-2.0
"""Spools of dead processes."""

import os
import time

import pytest

from glance_rawstore import sources
from glance_rawstore.agent import leftovers


@pytest.fixture
def named(monkeypatch):
    """As where the process has changed its user itself."""
    monkeypatch.setattr(sources, 'others_may_look', lambda: False)


def left(directory, name, age=3600):
    path = directory / name
    path.write_bytes(b'some of it')
    then = time.time() - age
    os.utime(path, (then, then))
    return path


def test_a_dead_processs_spool_is_removed(tmp_path):
    path = left(tmp_path, 'raw-copy-spool-abc')

    leftovers.remove(str(tmp_path))

    assert not path.exists()


@pytest.mark.usefixtures('named')
def test_a_spool_in_use_stays(tmp_path):
    with sources.spool(str(tmp_path), 0) as file:
        os.utime(file.name, (0, 0))

        leftovers.remove(str(tmp_path))

        assert os.path.exists(file.name)


def test_a_new_one_stays(tmp_path):
    """It may not have been locked yet."""
    path = left(tmp_path, 'raw-copy-spool-abc', age=5)

    leftovers.remove(str(tmp_path))

    assert path.exists()


@pytest.mark.parametrize('name', ['tmpabc', 'raw-conversion-0.lock', 'x.img'])
def test_what_is_not_ours_stays(tmp_path, name):
    path = left(tmp_path, name)

    leftovers.remove(str(tmp_path))

    assert path.exists()


def test_no_directory_is_no_error(tmp_path):
    leftovers.remove(str(tmp_path / 'missing'))
