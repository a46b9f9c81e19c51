# SPDX-License-Identifier: Apache-2.0
"""Conversions that are stopped or fail: nothing is left of them."""

import dataclasses

import pytest

from glance_rawstore import attempts
from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import insisting
from tests.contract.world import DATA
from tests.unit.tasks.conftest import ID


def deleted_image(work):
    del work.catalog.images[ID]


def deleted_copy(work):
    work.world.other_node().delete(ID)


def ending_process(work):
    work.stop.set()


@pytest.mark.parametrize(
    ('happens', 'text'),
    [
        (deleted_image, 'The image was deleted.'),
        (deleted_copy, 'was deleted while it was being made'),
        (ending_process, 'interrupted by a restart'),
    ],
)
def test_it_stops_while_it_converts(work, happens, text):
    work.converter.during = lambda _: happens(work)

    task = work.run()

    assert task.status == 'failure'
    assert text in task.message
    work.assert_nothing_is_left()


def test_what_a_deletion_breaks_is_told_as_the_deletion(work):
    """Glance takes the data away first, and then says so."""

    def during(_calls):
        deleted_image(work)
        raise exceptions.ConversionFailed('Its data may be damaged.')

    work.converter.during = during

    task = work.run()

    assert (task.status, task.message) == ('failure', 'The image was deleted.')
    work.assert_nothing_is_left()


def test_not_knowing_is_no_reason_to_stop(work):
    asked = []

    def during(calls):
        work.world.cluster.away = True
        asked.append(calls.stop())
        work.world.cluster.away = False

    work.converter.during = during

    assert work.run().status == 'success'
    assert asked == [None]


def test_a_process_that_ends_need_not_know_more(work):
    def during(calls):
        work.stop.set()
        work.world.cluster.away = True
        assert 'interrupted' in str(calls.stop())
        work.world.cluster.away = False

    work.converter.during = during

    assert work.run().status == 'failure'


def test_a_full_pool_is_told_and_left_as_it_was(work):
    work.world.cluster.on('update_features', before=work.world.fill)

    task = work.run()

    assert task.status == 'failure'
    assert task.message.startswith('The pool for raw copies is full.')
    work.assert_nothing_is_left()


def broken(*_args, **_kwargs):
    raise ZeroDivisionError


@pytest.mark.parametrize('step', flow.STEPS[3:], ids=lambda s: s.__name__)
def test_nothing_is_left_whatever_step_fails(work, step, monkeypatch):
    monkeypatch.setattr(step, 'execute', broken)

    task = work.run()

    assert task.status == 'failure'
    assert 'internal reason' in task.message
    assert 'Zero' not in task.message
    work.assert_nothing_is_left()


def test_what_cannot_be_undone_at_once_is_tried_again(work, monkeypatch):
    naps = []

    def nap(_insisting, seconds):
        naps.append(seconds)
        work.world.cluster.away = len(naps) < 3

    monkeypatch.setattr(insisting._Insisting, 'sleep', nap)

    def during(_calls):
        work.world.cluster.away = True
        raise exceptions.Stalled('No progress.')

    work.converter.during = during

    task = work.run()

    assert len(naps) == 3
    assert (task.status, task.message) == ('failure', 'No progress.')
    work.assert_nothing_is_left()


def test_a_clone_of_what_is_given_up_keeps_its_parent(work, monkeypatch):
    """Between the commit and the location's being active."""
    raw, volumes = work.world.consumer(2)

    def clone_and_fail(*_args, **_kwargs):
        ceph.rbd.RBD().clone(
            raw, f'{ID}_raw', 'snap', volumes, 'child', features=1
        )
        raise ZeroDivisionError

    monkeypatch.setattr(flow.publishing.Publish, 'execute', clone_and_fail)

    work.run()

    assert work.location() is None
    assert len(work.world.trash()) == 1
    with ceph.rbd.Image(volumes, 'child') as child:
        assert child.read(0, len(DATA)) == DATA


def made_by_another(work):
    """Our worker hangs until its lease has run out, and longer."""
    # on another node, where there is a slot
    directory = str(work.scratch.with_name('another'))
    options = dataclasses.replace(work.options, scratch_dir=directory)
    task_id = next(iter(work.catalog.tasks))
    work.world.pass_time(work.options.lease_duration + 1)
    work.converter.during = lambda _: None
    job = dataclasses.replace(work.job(), options=options, task_id=task_id)
    flow.run(job)
    assert work.location()['status'] == 'active'


def made_anew_by_another(work):
    """And nobody has gone on with ours."""
    work.world.pass_time(work.options.lease_duration + 1)
    work.world.other_node().delete(ID)
    made_by_another(work)


@pytest.mark.parametrize('made', [made_by_another, made_anew_by_another])
@pytest.mark.parametrize(
    'sees',
    [
        exceptions.ConversionFailed('qemu-img was fenced.'),
        exceptions.NotFound(),
        exceptions.Cancelled(),
        OSError('anything'),
    ],
    ids=repr,
)
def test_who_hung_touches_nothing_of_what_another_has_made(work, made, sees):
    """Whatever it sees first when it is awake again."""

    def during(_calls):
        made(work)
        raise sees

    work.converter.during = during

    task = work.run()

    assert work.location()['status'] == 'active'
    assert work.world.names() == [f'{ID}_raw']
    assert task.status == 'success'
    assert attempts.read_all(work.world.pool.ioctx) == {}


def test_who_hung_while_it_published_touches_nothing_of_another(work):
    """Its copy was evicted meanwhile, and another one was made."""

    def hang(*_args):
        work.catalog.put_location = put
        work.world.other_node().delete(ID)
        made_by_another(work)
        raise ValueError('no insisting')

    put = work.catalog.put_location
    work.catalog.put_location = lambda image_id, url, metadata: (
        hang()
        if metadata['status'] == 'active'
        else put(image_id, url, metadata)
    )

    work.run()

    assert work.location()['status'] == 'active'
    assert work.world.names() == [f'{ID}_raw']
