# SPDX-License-Identifier: Apache-2.0
"""What is asked of Ceph before Glance has answered, and what comes of it."""

import errno
import types

import pytest

from glance_rawstore import aio
from glance_rawstore import directory
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


def test_what_is_noted_is_read_before_glance_answers(bed, young):
    asked = []

    def count():
        asked.append('read')
        bed.world.cluster.on('operate_read_op', before=count)

    bed.world.cluster.on('operate_read_op', before=count)
    bed.glance.after = lambda: asked.append('answered')

    assert look(bed, young, request_of(1)) == 'raw'
    assert asked == ['read', 'read', 'read', 'answered']

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


@pytest.mark.parametrize('part', ['', '/locations'])
def test_who_was_refused_is_given_what_it_was_shown_before(bed, young, part):
    """Be it the original, before there was a copy: nothing is noted."""
    assert refused(bed, young, request_of(1), part) == 404

    assert notes(bed) == {}
    assert file(bed, young, request_of(1)) == 'qcow2'


def test_a_refusal_takes_nothing_from_who_was_shown_the_copy(bed, young):
    caller = request_of(1)
    assert look(bed, young, caller) == 'raw'
    other_worker(bed)
    bed.get(caller=TENANT)

    assert refused(bed, young, caller) == 404

    assert file(bed, young, caller) == 'raw'


class Failed(Exception):
    """Something that is not Glance's answer."""


def fail():
    raise Failed


@pytest.mark.parametrize('killed', [False, True])
def test_a_look_that_ends_before_glance_answers_notes_nothing(
    bed, young, killed
):
    """Be it that Glance fails, or that the worker is killed."""
    bed.glance.after = fail
    with pytest.raises(Failed):
        look(bed, young, request_of(1))
    bed.glance.after = lambda: None
    if killed:
        other_worker(bed)

    assert notes(bed) == {}
    assert file(bed, young, request_of(1)) == 'qcow2'


def test_who_is_refused_while_it_is_shown_the_copy_as_well_is_given_that(
    bed, young
):
    """Two requests with one id, of which the later one ends first."""
    caller = request_of(1)

    def shown_meanwhile():
        bed.glance.after = lambda: None
        assert look(bed, young, caller) == 'raw'
        raise Failed

    bed.glance.after = shown_meanwhile
    with pytest.raises(Failed):
        look(bed, young, caller)

    for _ in range(2):
        assert file(bed, young, caller) == 'raw'
        assert look(bed, young, caller) == 'raw'


@pytest.mark.parametrize('number', [1, 2, 3])
def test_who_is_shown_the_original_as_a_read_times_out_is_given_that(
    bed, young, number
):
    """The names, the header, or what is noted: nothing is written then."""

    def lose(reads):
        def before():
            if reads == 1:
                raise rados.TimedOut('no answer', errno=errno.ETIMEDOUT)
            lose(reads - 1)

        bed.world.cluster.on('operate_read_op', before=before)

    lose(number)
    assert look(bed, young, request_of(1)) == 'qcow2'
    other_worker(bed)

    assert notes(bed) == {}
    assert file(bed, young, request_of(1)) == 'qcow2'


@pytest.mark.parametrize('part', ['', '/locations'])
@pytest.mark.parametrize('written', [True, False])
def test_who_cannot_know_what_is_noted_of_it_is_shown_nothing(
    bed, young, part, written
):
    """Shown the original, another worker could give it raw bytes."""
    caller = request_of(1)

    def lose():
        raise rados.TimedOut('no answer', errno=errno.ETIMEDOUT)

    when = {'after': lose} if written else {'before': lose}
    bed.world.cluster.on('operate_write_op', **when)

    answer = bed.ask(f'/{young}{part}', caller)

    assert (answer.status_int, answer.headers['Retry-After']) == (503, '1')
    assert len(notes(bed)) == written
    other_worker(bed)
    assert look(bed, young, caller) == 'raw'
    assert file(bed, young, caller) == 'raw'


class Broken(Exception):
    """No error of Ceph's."""


def broken(*_args):
    raise Broken


def test_what_has_begun_is_kept_when_the_next_read_cannot_begin(
    bed, young, monkeypatch
):
    """What librados was told to write, it writes."""
    monkeypatch.setattr(directory, 'begin_header', broken)

    with pytest.raises(Broken):
        look(bed, young, request_of(1))

    assert len(aio._left) == 1


def test_what_has_begun_is_kept_when_it_cannot_begin_in_another_pool(
    bed, young
):
    """The first pool's looks are left, and the error is told."""
    windows = bed.view._answers._facts.windows
    other = types.SimpleNamespace(begin=broken)
    windows['zz'] = other, 0

    with pytest.raises(Broken):
        bed.view._answers._facts.begin(young, fresh=True)

    assert len(aio._left) == 2, 'names and header'


@pytest.mark.parametrize('ago', [0, LONG])
def test_a_copy_that_goes_meanwhile_leaves_nobody_with_wrong_bytes(bed, ago):
    image_id, caller = bed.image(copied=False), request_of(1)
    bed.commit(image_id, ago)
    bed.get(caller=TENANT)
    bed.glance.after = lambda: bed.world.other_node().delete(image_id)

    shown = look(bed, image_id, caller)

    bed.glance.after = lambda: None
    assert file(bed, image_id, caller) in (shown, 503)


def test_a_full_pool_notes_nothing(bed, young):
    bed.world.fill()

    assert look(bed, young, request_of(1)) == 'qcow2'
    assert notes(bed) == {}
