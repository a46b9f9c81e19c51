# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore show``"""

import json
import time
import uuid

import pytest

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import lease
from glance_rawstore import orders
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.orders import Order
from tests.contract.world import SIZE
from tests.contract.world import volumes


@pytest.fixture
def consumer(world):
    with volumes(world, 2) as found:
        yield found


def test_a_copy_is_shown_in_full(world, command, consumer):
    image_id, rbd_id = world.copy()
    child = consumer.clone(image_id, 'child')

    status, out, err = command('show', image_id)

    assert (status, err) == (0, '')
    rows = dict(line.split('  ', 1) for line in out.splitlines())
    shown = {key.strip(): value.strip() for key, value in rows.items()}
    assert shown.pop('age')
    assert shown == {
        'FIELD': 'VALUE',
        'image': image_id,
        'status': 'active',
        'virtual size': '64.0 MiB',
        'used': '20.5 KiB',
        'made from': 'qcow2',
        'rbd image': f'images_raw/{image_id}_raw (id {rbd_id})',
        'clones': child,
    }


def test_a_copy_without_clones_says_so(world, command):
    image_id, _ = world.copy()

    _, out, _ = command('show', image_id)

    assert out.splitlines()[-1].split() == ['clones', 'none']


def test_how_far_one_is_that_is_being_made(world, command):
    image_id, rbd_id = world.begin()
    halves = (Slice(0, SIZE // 2, 1), Slice(SIZE // 2, SIZE // 2, 1))
    world.pool.set_progress(image_id, rbd_id, 42)
    world.keep(image_id, rbd_id, Slices('x', halves, (DONE, FREE)))

    _, out, _ = command('show', image_id)

    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert 'progress 42%' in lines
    assert 'slices 1 of 2 done' in lines
    assert 'made by nobody; an agent goes on' in lines
    taken = lease.Lease(world.pool.ioctx, rbd_id, 9)
    taken.acquire()
    _, out, _ = command('show', image_id)
    assert 'a living worker' in out
    _, out, _ = command('show', image_id, '--format=json')
    taken.release()
    assert json.loads(out)[0]['making'] == {
        'leased': True,
        'progress': 42,
        'slices': 2,
        'slices_done': 1,
    }


def test_one_of_which_nothing_is_done_yet(world, command):
    image_id, _ = world.begin()

    _, out, _ = command('show', image_id)

    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert 'progress 0%' in lines
    assert 'slices -' in lines
    assert 'made by nobody; an agent begins anew' in lines


def test_copies_in_the_trash_are_shown_too(world, command, consumer):
    image_id, trashed = world.copy()
    consumer.clone(image_id, 'child')
    world.pool.delete(image_id)
    _, present = world.copy(image_id)

    _, out, _ = command('show', '--format=json', image_id)

    assert [(c['rbd_id'], c['status']) for c in json.loads(out)] == [
        (present, 'active'),
        (trashed, 'pending_delete'),
    ]


@pytest.mark.parametrize('form', ['text', 'json'])
def test_no_copy_ends_with_3_and_one_line(command, form):
    image_id = str(uuid.uuid4())

    status, out, err = command('show', image_id, '--format', form)

    assert (status, out) == (3, '')
    assert err == f'glance-rawstore: Image {image_id} has no raw copy.\n'


def test_why_there_is_none_is_told(world, command):
    evicted_one, ordered = str(uuid.uuid4()), str(uuid.uuid4())
    ioctx = world.pool.ioctx
    evicted.note(ioctx, evicted_one, Evicted(time.time(), 'lru', 1 << 20))
    orders.give(ioctx, ordered, Order(time.time(), 'req-1'))

    status, out, _ = command('show', evicted_one)
    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert status == 3
    assert 'evicted a moment ago, by lru' in lines
    assert 'freed 1.0 MiB' in lines

    status, out, _ = command('show', ordered, '--format=json')
    assert status == 3
    assert json.loads(out) == [
        {
            'image_id': ordered,
            'status': 'ordered',
            'request_id': 'req-1',
            'age_seconds': 0,
        }
    ]


def failed(count, at, error='It failed.'):
    return Attempts(count, refused=False, error=error, at=at, version='1/1')


@pytest.mark.parametrize(
    ('count', 'ago', 'expected'),
    [
        (1, 0, 'by an agent, in'),
        (1, 3600, 'by the next pass of an agent'),
        (99, 0, 'when the image is changed, or by glance-rawstore convert'),
    ],
)
def test_when_it_is_tried_again_is_told(world, command, count, ago, expected):
    image_id = str(uuid.uuid4())
    known = failed(count, time.time() - ago)
    attempts.write(world.pool.ioctx, image_id, known)

    status, out, _ = command('show', image_id)

    lines = [' '.join(line.split()) for line in out.splitlines()]
    assert status == 3
    assert 'error It failed.' in lines
    assert any(line.startswith(f'tried again {expected}') for line in lines)


def test_an_attempt_that_goes_on_is_not_told_to_have_failed(world, command):
    """It is noted as failed when it begins, lest it kill its worker."""
    image_id, rbd_id = world.begin()
    known = failed(1, time.time(), UNFINISHED)
    attempts.write(world.pool.ioctx, image_id, known)
    assert UNFINISHED in command('show', image_id)[1]
    taken = lease.Lease(world.pool.ioctx, rbd_id, 9)
    taken.acquire()

    status, out, _ = command('show', image_id)
    taken.release()

    assert status == 0
    assert UNFINISHED not in out


def test_what_is_no_id_is_told_from_an_image_without_a_copy(command):
    status, _, err = command('show', 'server')

    assert status == 3
    assert err == "glance-rawstore: 'server' is not the id of an image.\n"


def test_of_one_that_cannot_be_opened_it_is_said_what_to_do(world, command):
    image_id, rbd_id = world.copy()
    world.damage(rbd_id)

    status, out, _ = command('show', image_id)

    assert status == 0
    rows = dict(line.split('  ', 1) for line in out.splitlines())
    shown = {key.strip(): value.strip() for key, value in rows.items()}
    assert shown['rbd image'] == f'images_raw/{image_id}_raw (id {rbd_id})'
    assert 'error opening' in shown['damaged']
    assert 'When you are paged' in shown['what to do']
