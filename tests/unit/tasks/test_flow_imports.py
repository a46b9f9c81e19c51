# SPDX-License-Identifier: Apache-2.0
"""Conversions beside imports, which save over what they do not know."""

import pytest

from tests.unit.tasks.conftest import ID


class Import:
    """An import that holds its lock for some looks, and then ends."""

    def __init__(self, work, looks, status='active'):
        self.work, self.looks, self.status = work, looks, status
        lock = {'raw_cache': 'true', 'os_glance_import_task': 'other'}
        work.catalog.change(ID, status='importing', properties=lock)
        work.catalog.looked = self

    def __call__(self):
        self.looks -= 1
        if self.looks == 0:
            self.work.catalog.change(
                ID, status=self.status, properties={'raw_cache': 'true'}
            )


def test_it_waits_for_the_import_to_end(work):
    running = Import(work, looks=3)

    assert work.run().status == 'success'
    assert running.looks <= 0


@pytest.mark.parametrize('status', ['queued', 'killed', 'deactivated'])
def test_an_import_that_fails_has_no_task_of_ours(work, status):
    Import(work, looks=2, status=status)

    assert work.run() is None
    work.assert_nothing_is_left()


def test_an_image_that_is_deleted_while_it_is_imported_has_none(work):
    del work.catalog.images[ID]

    assert work.run() is None


def test_a_location_that_another_import_saved_over_is_put_back(work):
    """A copy-image writes back the locations that it knew."""
    original = work.catalog.image(ID).locations
    saves = []

    def during(_calls):
        lock = {'raw_cache': 'true', 'os_glance_import_task': 'other'}
        work.catalog.change(ID, properties=lock)
        work.catalog.looked = look

    def look():
        if work.location() and work.location()['status'] == 'active':
            saves.append(1)
            if len(saves) == 2:
                work.catalog.change(
                    ID,
                    properties={'raw_cache': 'true'},
                    locations=original,
                )

    work.converter.during = during

    assert work.run().status == 'success'
    assert len(saves) >= 2
    assert work.location()['status'] == 'active'
