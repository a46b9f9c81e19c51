# SPDX-License-Identifier: Apache-2.0
"""What is asked of Ceph before Glance has answered, and what comes of it."""

import pytest

from glance_rawstore import aio
from glance_rawstore.raw_view import ahead
from tests.fakes import rados
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT
from tests.unit.raw_view.conftest import request_of
from tests.unit.raw_view.test_promises import LONG
from tests.unit.raw_view.test_promises import file
from tests.unit.raw_view.test_promises import look
from tests.unit.raw_view.test_promises import notes
from tests.unit.raw_view.test_promises import other_worker


@pytest.fixture
def young(bed):
    """An image whose copy is young, and was seen by this worker."""
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    bed.get(caller=TENANT)
    return image_id


@pytest.fixture(autouse=True)
def _nothing_left():
    aio._left.clear()
    yield
    aio._left.clear()


def refused(bed, image_id, caller, part=''):
    bed.glance.hidden.add(image_id)
    status = bed.ask(f'/{image_id}{part}', caller).status_int
    bed.glance.hidden.discard(image_id)
    return status


@pytest.mark.parametrize('caller', [TENANT, NOVA])
@pytest.mark.parametrize('copied', [False, True])
def test_nobody_waits_for_ceph_when_glance_refuses(
    bed, caller, copied, monkeypatch
):
    """So its answer takes as long as ever, whatever there is in Ceph."""
    image_id = bed.image(copied=copied)
    bed.get()  # connects
    monkeypatch.setattr(rados.Completion, 'wait_for_complete', None)

    assert refused(bed, image_id, caller) == 404

    assert aio._left, 'until it ends'


@pytest.mark.parametrize('caller', [TENANT, NOVA, request_of(1)])
def test_a_refused_look_leaves_nothing_in_ceph(bed, caller):
    image_id = bed.image()
    bed.get()  # connects

    assert refused(bed, image_id, caller) == 404

    assert notes(bed) == {}


def test_what_cannot_be_an_id_is_not_asked_for(bed):
    bed.image()
    bed.get()  # connects
    asked = []
    bed.world.cluster.on('operate_read_op', before=lambda: asked.append(1))

    for path in ('schemas', 'x' * 10_000, '%00', '..%2f..'):
        bed.ask(f'/{path}')

    assert asked == []


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_what_was_read_long_ago_is_read_again(bed, caller, monkeypatch):
    image_id = bed.image()
    bed.get(caller=caller)  # connects
    monkeypatch.setattr(ahead, 'FRESH', 0.0)
    bed.glance.after = lambda: bed.world.other_node().delete(image_id)

    shown = bed.get(f'/{image_id}', caller)

    assert shown['disk_format'] == 'qcow2'
    assert shown.get('raw_cache_status') != 'active'


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_nothing_is_begun_while_ceph_is_away(bed, caller, clock):
    image_id = bed.image()
    bed.get()  # connects
    with bed.world.away():
        assert bed.get(f'/{image_id}', caller)['disk_format'] == 'qcow2'
        asked = []
        bed.world.cluster.on('operate_read_op', before=lambda: asked.append(1))
        assert bed.get(f'/{image_id}', caller)['disk_format'] == 'qcow2'

    assert asked == []


def test_a_first_look_at_a_young_copy_is_noted_in_one_write(bed, young):
    assert look(bed, young, request_of(1)) == 'raw'

    other_worker(bed)
    assert file(bed, young, request_of(1)) == 'raw'


def test_who_downloads_is_not_noted_as_one_that_was_shown_the_copy(bed):
    image_id, caller = bed.image(copied=False), request_of(1)
    assert look(bed, image_id, caller) == 'qcow2'
    bed.catalog.images[image_id].properties['raw_cache'] = 'true'
    assert file(bed, image_id, caller) == 'qcow2'
    bed.commit(image_id)
    bed.get(caller=TENANT)

    assert look(bed, image_id, caller) == 'qcow2'
    assert file(bed, image_id, caller) == 'qcow2'


def test_who_was_refused_is_not_given_what_it_was_never_shown(bed, young):
    """It may have been shown the original, before there was a copy."""
    assert refused(bed, young, request_of(1)) == 404

    assert file(bed, young, request_of(1)) == 503
    assert look(bed, young, request_of(1)) == 'raw'
    assert file(bed, young, request_of(1)) == 'raw'


def test_a_refusal_takes_nothing_from_who_was_shown_the_copy(bed, young):
    caller = request_of(1)
    assert look(bed, young, caller) == 'raw'
    other_worker(bed)
    bed.get(caller=TENANT)

    assert refused(bed, young, caller) == 404

    assert file(bed, young, caller) == 'raw'


def test_a_refused_list_of_locations_changes_nothing(bed, young):
    """Cinder goes on with the image that it was shown before."""
    assert refused(bed, young, request_of(1), '/locations') == 404

    assert file(bed, young, request_of(1)) == 'qcow2'


def test_a_glance_that_fails_is_as_one_that_refuses(bed, young):
    class Failed(Exception):
        pass

    def fail():
        raise Failed

    bed.glance.after = fail
    with pytest.raises(Failed):
        look(bed, young, request_of(1))
    bed.glance.after = lambda: None

    assert file(bed, young, request_of(1)) == 503


@pytest.mark.parametrize('ago', [0, LONG])
def test_a_copy_that_goes_meanwhile_leaves_nobody_with_wrong_bytes(bed, ago):
    image_id, caller = bed.image(copied=False), request_of(1)
    bed.commit(image_id, ago)
    bed.get(caller=TENANT)
    bed.glance.after = lambda: bed.world.other_node().delete(image_id)

    shown = look(bed, image_id, caller)

    bed.glance.after = lambda: None
    assert file(bed, image_id, caller) in (shown, 503)


def test_a_full_pool_notes_nothing_ahead(bed, young):
    bed.world.fill()

    assert look(bed, young, request_of(1)) == 'qcow2'
    assert notes(bed) == {}
