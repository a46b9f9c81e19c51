# SPDX-License-Identifier: Apache-2.0
"""Conversions beside imports, which save over what they do not know."""

import contextlib

import pytest

from glance_rawstore.tasks import preparing
from glance_rawstore.tasks import step
from tests.unit.tasks.conftest import ID

WANTED = {'raw_cache': 'true'}
LOCKED = {**WANTED, 'os_glance_import_task': 'other'}
STORING = {**LOCKED, 'os_glance_importing_to_stores': 'disk'}


class Import:
    """An import that takes some looks for each of its stages.

    :param stages: (looks, status, properties) of each; the last one stays
    """

    def __init__(self, work, *stages):
        self.work, self.stages = work, list(stages)
        self.left = 0
        self.seen = []  # what there was of ours when a stage began
        work.catalog.looked = self

    def __call__(self):
        if self.left == 0 and self.stages:
            self.left, status, properties = self.stages.pop(0)
            self.seen.append((self.work.location(), self.work.world.names()))
            self.work.catalog.change(ID, status=status, properties=properties)
        self.left = max(0, self.left - 1)


def test_it_waits_until_the_image_is_stored_and_its_import_has_ended(work):
    """What an import saves last would drop the location, but not more."""
    running = Import(
        work,
        (3, 'importing', STORING),
        (3, 'active', STORING),
        (9, 'active', LOCKED),
        (0, 'active', WANTED),
    )

    assert work.run().status == 'success'

    *before, while_stored, ended = running.seen
    assert [*before, while_stored] == [(None, [])] * 3
    assert ended == (None, [f'{ID}_raw.part'])


def test_another_import_is_not_waited_for(work):
    other = {**WANTED, 'os_glance_import_task': 'one more'}
    seen = []

    def during(_calls):
        seen.append(work.location()['status'])
        work.catalog.change(ID, properties=WANTED)

    work.converter.during = during
    Import(work, (2, 'active', LOCKED), (0, 'active', other))

    assert work.run().status == 'success'
    assert seen == ['pending']


@pytest.mark.parametrize('status', ['queued', 'killed', 'deactivated'])
def test_an_import_that_fails_has_no_task_of_ours(work, status):
    Import(work, (2, 'importing', STORING), (0, status, WANTED))

    assert work.run() is None
    work.assert_nothing_is_left()


def test_an_import_that_fails_in_its_last_steps_has_no_copy(work):
    Import(work, (6, 'active', LOCKED), (0, 'queued', WANTED))

    task = work.run()

    assert task.status == 'failure'
    assert task.message == 'The import did not succeed.'
    assert work.converter.source is None
    work.assert_nothing_is_left()


def test_an_image_that_is_deleted_while_it_is_imported_has_none(work):
    del work.catalog.images[ID]

    assert work.run() is None


def test_a_location_that_another_import_saved_over_is_put_back(work):
    """A copy-image writes back the locations that it knew."""
    original = work.catalog.image(ID).locations
    saves = []

    def during(_calls):
        work.catalog.change(ID, properties=LOCKED)
        work.catalog.looked = look

    def look():
        if work.location() and work.location()['status'] == 'active':
            saves.append(1)
            if len(saves) == 2:
                work.catalog.change(ID, properties=WANTED, locations=original)

    work.converter.during = during

    assert work.run().status == 'success'
    assert len(saves) >= 2
    assert work.location()['status'] == 'active'


class Clock:
    """Stands in for the event that ends a process, and for the clock.

    :ivar pauses: for how long it was waited, and when, in seconds
    """

    def __init__(self):
        self.now = 1000.0
        self.pauses = []

    def monotonic(self):
        return self.now

    def wait(self, seconds):
        self.pauses.append((self.now - 1000.0, seconds))
        self.now += seconds
        return False

    def is_set(self):
        return False


@pytest.mark.parametrize(
    ('properties', 'soon'), [(STORING, 0.0), (LOCKED, 3.0)]
)
def test_an_import_is_looked_at_often_for_its_last_moments_only(
    work, monkeypatch, properties, soon
):
    """A further store may take hours, and so may what holds a lock."""
    work.stop = clock = Clock()
    monkeypatch.setattr(step, 'time', clock)
    monkeypatch.setattr(step, 'POLL', 0.2)
    monkeypatch.setattr(step, '_SOON', 0.05)
    work.catalog.change(ID, status='active', properties=properties)

    waiting = preparing.WaitUntilStored(work.job())
    waiting.await_import(lambda _: clock.now > 1010.0)

    often = [at for at, seconds in clock.pauses if seconds < 0.2]
    assert len(often) == pytest.approx(soon / 0.05, abs=1)
    assert all(at < soon for at in often)
    assert clock.pauses[-1][1] == 0.2


def test_many_who_look_at_imports_look_less_often_each():
    looking = step._Looking()
    pauses = []
    with contextlib.ExitStack() as stack:
        for _ in range(100):
            stack.enter_context(looking.one_more())
            pauses.append(looking.pause(step.POLL))

    assert pauses[0] == pauses[3] == step.POLL == 0.2
    assert pauses[19] == 1.0
    assert pauses[-1] == 2.0
    assert looking.pause(step.POLL) == step.POLL
