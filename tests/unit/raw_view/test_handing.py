# SPDX-License-Identifier: Apache-2.0
"""What counts as a use of a copy, and what as asking for an evicted one."""

import time

import pytest

from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import uses
from glance_rawstore.lifecycle.evicted import Evicted
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT
from tests.unit.raw_view.conftest import reads
from tests.unit.raw_view.conftest import request_of

PARTS = ('', '/locations', '/file')
CINDER = {**NOVA, 'HTTP_X_SERVICE_USER_NAME': 'cinder'}
OTHER = {**NOVA, 'HTTP_X_SERVICE_USER_NAME': 'ironic'}


def known(bed):
    """What has been counted."""
    for window, _weight in bed.view._answers._facts.windows.values():
        assert window.counter.write()
    return uses.read_all(bed.world.pool.ioctx)


def scores(bed):
    return {i: round(use.score, 1) for i, use in known(bed).items()}


def evict(bed, image_id):
    bed.world.pool.delete(image_id)
    value = Evicted(time.time() - 60, 'lru', 7)
    evicted.note(bed.world.pool.ioctx, image_id, value)


@pytest.mark.parametrize('part', PARTS)
def test_to_be_handed_a_copy_is_a_use(bed, part):
    image_id = bed.image()

    assert bed.ask(f'/{image_id}{part}').status_int == 200

    assert scores(bed) == {image_id: 1.0}


def test_all_calls_of_one_consumer_are_one_use(bed):
    image_id = bed.image()
    for number in range(3):
        for part in ('', '/locations', ''):
            bed.get(f'/{image_id}{part}', request_of(number, CINDER))

    assert scores(bed) == {image_id: 3.0}


@pytest.mark.parametrize('caller', [TENANT, OTHER])
@pytest.mark.parametrize('part', PARTS)
def test_who_is_not_handed_the_copy_uses_nothing(bed, caller, part):
    image_id = bed.image()

    assert bed.ask(f'/{image_id}{part}', caller).status_int == 200

    assert scores(bed) == {}


def test_a_list_hands_nothing_out(bed):
    bed.image()

    assert bed.get()['images'][0]['disk_format'] == 'raw'

    assert scores(bed) == {}


def test_a_copy_of_which_glance_tells_nothing_is_not_handed_out(bed):
    image_id = bed.image()
    bed.glance.hidden.add(image_id)

    for part in PARTS:
        assert bed.ask(f'/{image_id}{part}').status_int == 404

    assert scores(bed) == {}


def test_an_original_that_is_raw_is_no_copy(bed):
    image_id = bed.image(copied=False, disk_format='raw')
    for part in PARTS:
        bed.ask(f'/{image_id}{part}')

    assert scores(bed) == {}


def test_a_pending_copy_is_not_handed_out(bed):
    image_id = bed.image(copied=False)
    bed.world.begin(image_id)

    bed.get(f'/{image_id}')

    assert scores(bed) == {}


@pytest.mark.parametrize('part', PARTS)
def test_an_evicted_copy_is_asked_for_by_who_would_clone_it(bed, part):
    image_id = bed.image()
    evict(bed, image_id)
    before = time.time()

    assert bed.ask(f'/{image_id}{part}').status_int in (200, 503)

    use = known(bed)[image_id]
    assert use.asked >= before
    assert (use.score, use.last) == (0.0, None)
    assert handover.all_offered(bed.world.pool.ioctx) == {image_id: ''}


@pytest.mark.parametrize('caller', [TENANT, OTHER])
def test_nobody_else_asks_for_an_evicted_copy(bed, caller):
    image_id = bed.image()
    evict(bed, image_id)
    for part in PARTS:
        bed.ask(f'/{image_id}{part}', caller)
    bed.get(caller=NOVA)

    assert known(bed) == {}


def test_who_may_not_see_an_image_does_not_ask_for_its_copy(bed):
    image_id = bed.image()
    evict(bed, image_id)
    bed.glance.hidden.add(image_id)
    for part in PARTS:
        bed.ask(f'/{image_id}{part}')

    assert known(bed) == {}


def test_an_image_without_a_copy_that_was_not_evicted_is_not_asked_for(bed):
    bed.get(f'/{bed.image(copied=False)}')

    assert known(bed) == {}


def test_one_that_is_made_again_is_not_asked_for(bed):
    image_id = bed.image()
    evict(bed, image_id)
    bed.world.begin(image_id)

    bed.get(f'/{image_id}')

    assert known(bed) == {}


def test_an_active_copy_costs_no_reads_for_its_use(bed):
    """Its name and its header, as ever."""
    image_id = bed.image()

    assert reads(bed, f'/{image_id}', NOVA) == 2
    assert reads(bed, f'/{image_id}/locations', NOVA) == 2


def test_an_original_that_is_raw_costs_one_read_that_nobody_waits_for(bed):
    """It was begun before Glance has told what the image is."""
    image_id = bed.image(copied=False, disk_format='raw')
    bed.image()

    assert reads(bed, f'/{image_id}', NOVA) == 1
    with bed.world.away():
        assert bed.ask(f'/{image_id}', NOVA).status_int == 200
    assert reads(bed, f'/{image_id}', NOVA) == 1


def test_tenants_see_that_a_copy_was_evicted(bed):
    image_id = bed.image(properties={'raw_cache': 'true'})
    evict(bed, image_id)

    shown = bed.get(f'/{image_id}', TENANT)
    (listed,) = bed.get(caller=TENANT)['images']

    assert shown['raw_cache_status'] == 'evicted'
    assert not {'raw_cache_size', 'raw_cache_progress'} & set(shown)
    assert listed['raw_cache_status'] == 'evicted'


def test_nobody_is_told_of_an_eviction_without_a_wish(bed):
    image_id = bed.image(properties={})
    evict(bed, image_id)

    assert 'raw_cache_status' not in bed.get(f'/{image_id}', TENANT)
