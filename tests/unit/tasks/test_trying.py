# SPDX-License-Identifier: Apache-2.0
"""What is known of attempts when a conversion has ended."""

import dataclasses
import threading
import time

import pytest

from glance_rawstore import attempts
from glance_rawstore import exceptions
from glance_rawstore import slots
from glance_rawstore.lease import Lease
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import step
from tests.unit import headers
from tests.unit.tasks.conftest import GIB
from tests.unit.tasks.conftest import ID
from tests.waiting import eventually

VERSION = f'0/{GIB}'


@pytest.fixture
def ioctx(work):
    return work.world.other_node().ioctx


def known(work):
    """What is known of the attempts, but for the time."""
    found = attempts.read(work.world.other_node().ioctx, ID)
    return found and dataclasses.replace(found, at=0)


def fails_with(work, error):
    def during(calls):
        raise error

    work.converter.during = during


def test_a_copy_that_was_made_leaves_nothing_to_know(work, ioctx):
    attempts.write(ioctx, ID, Attempts(2, False, 'why', 1.0, VERSION))

    work.run()

    assert known(work) is None


def test_an_attempt_counts_from_its_beginning(work):
    """So that one which kills its worker counts."""
    seen = []
    work.converter.during = lambda _: seen.append(known(work))

    work.run()

    assert seen == [Attempts(1, False, UNFINISHED, 0, VERSION)]


def test_a_failure_is_counted_with_its_reason(work, ioctx):
    attempts.write(ioctx, ID, Attempts(2, False, 'why', 1.0, VERSION))
    fails_with(work, exceptions.NoSpace('It was full.'))
    before = time.time()

    work.run()

    assert known(work) == Attempts(3, False, 'It was full.', 0, VERSION)
    assert attempts.read(ioctx, ID).at >= before


def test_an_error_of_ours_is_not_shown_to_the_tenant(work):
    fails_with(work, RuntimeError('at 10.0.0.1'))

    work.run()

    assert known(work).error == 'The raw copy failed for an internal reason.'


def test_a_changed_image_is_counted_anew(work, ioctx):
    attempts.write(ioctx, ID, Attempts(4, True, 'why', 1.0, 'another'))
    fails_with(work, exceptions.NoSpace('It was full.'))

    work.run()

    assert known(work) == Attempts(1, False, 'It was full.', 0, VERSION)


@pytest.mark.parametrize(
    ('facts', 'text'),
    [
        ({'properties': {'raw_cache': 'maybe'}}, 'must be true or false'),
        ({'disk_format': 'ploop'}, 'ploop is not supported'),
        ({'disk_format': 'vmdk'}, 'such an image is not converted'),
    ],
)
def test_a_refusal_is_kept_as_one(work, facts, text):
    work.catalog.change(ID, **facts)

    work.run()

    found = known(work)
    assert (found.count, found.refused) == (1, True)
    assert text in found.error


def test_a_hostile_image_is_refused_for_good(work):
    work.catalog.add(ID, headers.qcow2(backing_offset=512))

    work.run()

    assert known(work).refused


@pytest.mark.parametrize(
    'before', [None, Attempts(2, False, 'why', 0, VERSION)]
)
def test_an_interrupted_attempt_does_not_count(work, ioctx, before):
    if before is not None:
        attempts.write(ioctx, ID, before)
    work.converter.during = lambda _: work.stop.set()

    work.run()

    assert known(work) == before


def test_nothing_is_known_of_an_image_that_was_deleted(work, ioctx):
    attempts.write(ioctx, ID, Attempts(2, False, 'why', 1.0, VERSION))

    def during(_calls):
        del work.catalog.images[ID]
        raise exceptions.ConversionFailed('Its data may be damaged.')

    work.converter.during = during

    work.run()

    assert known(work) is None


def test_what_another_worker_counts_is_left_to_it(work, ioctx):
    _, rbd_id = work.world.begin(ID)
    lease = Lease(ioctx, rbd_id, 30)
    lease.acquire()
    attempts.write(ioctx, ID, Attempts(1, False, UNFINISHED, 0, VERSION))

    work.run()
    lease.release()

    assert known(work) == Attempts(1, False, UNFINISHED, 0, VERSION)


def test_a_conversion_does_not_fail_because_it_cannot_be_counted(
    work, monkeypatch
):
    def away(*_args):
        raise exceptions.CephUnavailable('It did not answer.')

    monkeypatch.setattr(attempts, 'write', away)

    assert work.run().status == 'success'


def test_copies_that_were_wished_for_say_so(work):
    work.run()

    with work.world.pool.image(raw_copy.name(ID)) as image:
        assert dict(image.metadata_list())[raw_copy.META_BY_WISH] == 'true'


def test_the_operators_default_is_a_wish(work):
    work.options = dataclasses.replace(work.options, by_default=True)
    work.catalog.change(ID, properties={})

    assert work.run().message.startswith('The raw copy is ready')


def test_the_operators_default_is_no_wish_for_what_cannot_be_converted(work):
    work.options = dataclasses.replace(work.options, by_default=True)
    work.catalog.change(ID, properties={}, disk_format='ploop')

    assert work.run().message == 'No raw copy is wanted any more.'


def test_who_waits_for_a_slot_is_heard_of(work, monkeypatch):
    monkeypatch.setattr(step, 'FIRST', 0.0)
    monkeypatch.setattr(slots, '_RETRY', 0.01)
    said = 'Waiting for other conversions to end: it is next (0 s)'
    with slots.slot(str(work.scratch), 1, time.sleep):
        thread = threading.Thread(target=work.run)
        thread.start()
        eventually(
            lambda: any(
                said in task.messages for task in work.catalog.tasks.values()
            ),
            'it says that it waits',
        )
    thread.join()
    (task,) = work.catalog.tasks.values()
    assert task.status == 'success'


def test_a_slot_that_is_held_for_the_job_is_not_taken_twice(work):
    with slots.slot(str(work.scratch), 1, time.sleep) as slot:
        job = work.job()
        job.slot = slot
        flow.run(job)
    (task,) = work.catalog.tasks.values()

    assert task.status == 'success'


STORING = {'raw_cache': 'true', 'os_glance_import_task': 'import'}


def import_ends(work):
    """Its last save moves the time at which the image was changed."""
    work.catalog.looked = lambda: None
    work.catalog.change(ID, properties={'raw_cache': 'true'}, updated_at=7.0)


def test_what_an_import_saves_last_is_no_other_version(work):
    work.catalog.change(ID, properties=STORING)
    looks, seen = iter(range(9)), []
    work.catalog.looked = lambda: next(looks) < 8 or import_ends(work)
    work.converter.during = lambda _: seen.append(known(work))

    work.run()

    assert seen == [Attempts(1, False, UNFINISHED, 0, f'7/{GIB}')]


@pytest.mark.parametrize('disk_format', ['ploop', 'vmdk'])
def test_what_is_refused_before_the_import_ends_is_so_afterwards(
    work, disk_format
):
    """By its declared format, or by its bytes."""
    work.catalog.change(ID, properties=STORING, disk_format=disk_format)
    looks = iter(range(9))
    work.catalog.looked = lambda: next(looks) < 8 or import_ends(work)

    work.run()

    found = known(work)
    assert (found.count, found.refused) == (1, True)
    assert found.version == f'7/{GIB}'
