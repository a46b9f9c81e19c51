# SPDX-License-Identifier: Apache-2.0
"""Who used the processors, and what a storm is judged by."""

import contextlib
import sqlite3
import subprocess
import sys
import time

import pytest

from benchmarks import cores
from benchmarks import storms
from tests.processes import ProcessError

SPIN = 'import time\nwhile time.process_time() < 0.3: pass'


def test_what_this_process_and_its_children_use_is_counted():
    before = cores.used()
    subprocess.run([sys.executable, '-c', SPIN], check=True)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass

    assert 0.4 <= sum(cores.since(before).values()) < 5


@pytest.mark.parametrize(
    ('part', 'value'), [(0.0, 1), (0.5, 6), (0.95, 10), (1.0, 10)]
)
def test_a_part_of_what_was_timed_was_no_slower(part, value):
    assert storms._part([*range(10, 0, -1)], part) == value


@pytest.fixture
def glance(tmp_path):
    """A database with what is looked at of Glance's."""
    path = str(tmp_path / 'glance.db')
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute('create table images (id, status, deleted)')
        database.execute(
            'create table image_locations (image_id, deleted, meta_data)'
        )
        database.executemany(
            'insert into images values (?, ?, 0)',
            [('one', 'active'), ('two', 'importing')],
        )
        database.executemany(
            'insert into image_locations values (?, ?, ?)',
            [
                ('one', 0, '{"store": "ceph"}'),
                ('one', 0, '{"format": "raw", "status": "active"}'),
                ('two', 0, '{"format": "raw", "status": "pending"}'),
                ('two', 1, '{"format": "raw", "status": "active"}'),
            ],
        )
        database.commit()
    return path


def test_an_image_is_watched_until_its_copy_is_active(glance):
    ((active, raw),) = storms._watch(glance, ['one'], time.monotonic())

    assert active == raw < 5


def test_a_copy_that_does_not_come_is_not_waited_for_for_ever(
    glance, monkeypatch
):
    monkeypatch.setattr(storms, 'TIMEOUT', 0.2)

    with pytest.raises(ProcessError, match='one'):
        storms._watch(glance, ['one', 'two'], time.monotonic())
