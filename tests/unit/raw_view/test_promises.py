# SPDX-License-Identifier: Apache-2.0
"""Consumers are given what they were shown, though the copy comes or goes."""

import time

import pytest

from glance_rawstore import ceph
from glance_rawstore import downloads
from glance_rawstore import evicted
from glance_rawstore import omap
from glance_rawstore.lifecycle import shown
from glance_rawstore.raw_view import RawView
from glance_rawstore.raw_view import promises
from tests.contract.world import SIZE
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT
from tests.unit.raw_view.conftest import reads
from tests.unit.raw_view.conftest import request_of

ORIGINAL = b'QFI' * 1000
#: In seconds, since when everything is certain.
LONG = shown.SETTLED + shown.SKEW + 5
NAMELESS = {k: v for k, v in NOVA.items() if k != 'HTTP_X_AUTH_TOKEN'}
#: All of these tell their consumers apart.
CALLERS = [request_of(1), NOVA]


def look(bed, image_id, caller):
    """What a caller is shown."""
    return bed.get(f'/{image_id}', caller)['disk_format']


def file(bed, image_id, caller):
    """What it is given: a format, or the status of the answer."""
    answer = bed.ask(f'/{image_id}/file', caller)
    if answer.status_int != 200:
        return answer.status_int
    return 'qcow2' if answer.body == ORIGINAL else 'raw'


def other_worker(bed):
    bed.view = RawView(bed.glance, bed.conf)


def notes(bed):
    return omap.Table(downloads.OBJECT).read_all(bed.world.pool.ioctx)


def pass_time(bed, image_id, seconds):
    """Have it be long that an image's copy has gone."""
    ioctx = bed.world.pool.ioctx
    _, gone = evicted.read_why(ioctx, image_id, time.time())
    evicted.leave_trace(ioctx, image_id, float(gone.trace) - seconds)


def meanwhile(bed, happens):
    """Have something happen once, by another worker, while Glance answers."""
    here, there = bed.view, RawView(bed.glance, bed.conf)

    def once():
        bed.glance.after, bed.view = (lambda: None), there
        happens()
        bed.view = here

    bed.glance.after = once


# The copy becomes active


@pytest.mark.parametrize('caller', CALLERS)
def test_who_was_shown_the_original_is_given_it_though_there_is_a_copy(
    bed, caller
):
    image_id = bed.image(copied=False)
    assert look(bed, image_id, caller) == 'qcow2'

    bed.commit(image_id)
    other_worker(bed)

    assert file(bed, image_id, caller) == 'qcow2'


@pytest.mark.parametrize('part', ['', '/locations'])
@pytest.mark.parametrize('caller', CALLERS)
def test_who_was_shown_a_young_copy_is_given_its_bytes(bed, caller, part):
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    bed.get(f'/{image_id}{part}', caller)
    other_worker(bed)

    assert file(bed, image_id, caller) == 'raw'
    assert file(bed, image_id, request_of(2)) == 'qcow2'


def test_who_cannot_be_told_apart_sees_copies_when_they_are_settled(bed):
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    assert look(bed, image_id, NAMELESS) == 'qcow2'
    assert file(bed, image_id, NAMELESS) == 'qcow2'

    settled = bed.image(copied=False)
    bed.commit(settled, ago=LONG)

    assert look(bed, settled, NAMELESS) == 'raw'
    assert file(bed, settled, NAMELESS) == 'raw'


def test_a_settled_copy_is_given_to_who_never_looked(bed):
    image_id = bed.image(copied=False)
    bed.commit(image_id, ago=LONG)

    assert file(bed, image_id, request_of(1)) == 'raw'
    assert notes(bed) == {}


def test_a_copy_from_a_clock_that_is_ahead_is_young(bed):
    image_id = bed.image(copied=False)
    bed.commit(image_id, ago=-120)

    assert file(bed, image_id, request_of(1)) == 'qcow2'


def test_no_note_no_young_copy(bed):
    """Whoever cannot be noted could be given the wrong bytes."""
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    bed.world.fill()

    assert look(bed, image_id, request_of(1)) == 'qcow2'
    assert file(bed, image_id, request_of(1)) == 'qcow2'


# The copy goes


@pytest.mark.parametrize('caller', CALLERS)
@pytest.mark.parametrize('ago', [0, 24 * 3600])
def test_who_was_shown_a_copy_that_has_gone_must_look_again(bed, caller, ago):
    image_id = bed.image(copied=False)
    bed.commit(image_id, ago)
    assert look(bed, image_id, caller) == 'raw'

    bed.world.pool.delete(image_id)
    other_worker(bed)

    assert file(bed, image_id, caller) == 503
    assert look(bed, image_id, caller) == 'qcow2'
    other_worker(bed)
    assert file(bed, image_id, caller) == 'qcow2'


def test_a_copy_that_went_and_came_back_is_not_what_was_shown_in_between(bed):
    image_id, caller = bed.image(), request_of(1)
    bed.world.pool.delete(image_id)
    assert look(bed, image_id, caller) == 'qcow2'
    bed.commit(image_id)

    assert file(bed, image_id, caller) == 'qcow2'
    assert file(bed, image_id, request_of(2)) == 503, 'which one did it see?'


def test_who_was_shown_the_first_copy_may_be_given_the_second(bed):
    image_id, caller = bed.image(copied=False), request_of(1)
    bed.commit(image_id)
    assert look(bed, image_id, caller) == 'raw'
    bed.world.pool.delete(image_id)
    bed.commit(image_id)

    assert file(bed, image_id, caller) == 'raw'


def test_a_worker_that_has_seen_it_all_before_notes_it_again(bed):
    """What it remembers is of a copy that is not there any more."""
    image_id, caller = bed.image(copied=False), request_of(1)
    bed.commit(image_id)
    assert look(bed, image_id, caller) == 'raw'
    first = bed.view
    bed.world.pool.delete(image_id)
    other_worker(bed)
    assert look(bed, image_id, caller) == 'qcow2'
    bed.commit(image_id)
    bed.view = first
    assert look(bed, image_id, caller) == 'raw'
    other_worker(bed)

    assert file(bed, image_id, caller) == 'raw'


def test_long_after_a_copy_has_gone_nobody_needs_to_look(bed):
    image_id = bed.image()
    bed.world.pool.delete(image_id)
    pass_time(bed, image_id, LONG)

    assert look(bed, image_id, request_of(1)) == 'qcow2'
    assert notes(bed) == {}
    assert file(bed, image_id, request_of(2)) == 'qcow2'


def test_who_was_shown_a_young_copy_looks_again_even_long_after(bed):
    image_id, caller = bed.image(copied=False), request_of(1)
    bed.commit(image_id)
    assert look(bed, image_id, caller) == 'raw'
    bed.world.pool.delete(image_id)
    pass_time(bed, image_id, LONG)

    assert file(bed, image_id, caller) == 503
    assert look(bed, image_id, caller) == 'qcow2'
    assert file(bed, image_id, caller) == 'qcow2'


def test_what_glance_refuses_is_refused_by_glance(bed):
    image_id = bed.image()
    bed.world.pool.delete(image_id)
    bed.glance.no_download.add(image_id)

    assert file(bed, image_id, request_of(1)) == 403


def test_tenants_download_originals_whatever_happens(bed):
    image_id = bed.image()
    bed.world.pool.delete(image_id)

    assert file(bed, image_id, TENANT) == 'qcow2'


def test_a_refused_original_is_closed(bed):
    image_id = bed.image()
    bed.world.pool.delete(image_id)

    assert file(bed, image_id, request_of(1)) == 503
    (original,) = bed.glance.originals
    assert (original.read, original.closed) == (0, True)


# Ceph goes


def test_an_outage_gives_no_originals_for_a_while(bed, clock):
    image_id = bed.image()
    assert look(bed, image_id, request_of(1)) == 'raw'
    with bed.world.away():
        assert file(bed, image_id, request_of(1)) == 503
        assert file(bed, image_id, TENANT) == 'qcow2'
        assert look(bed, image_id, request_of(1)) == 'qcow2'
        clock[0] += promises.OUTAGE + 1

        assert file(bed, image_id, request_of(1)) == 'qcow2'


def test_an_outage_between_two_reads_gives_nothing(bed):
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    assert look(bed, image_id, request_of(1)) == 'raw'

    def lost():
        raise ceph.rados.TimedOut('no answer', errno=110)

    def after(reads):
        on = lost if reads == 0 else lambda: after(reads - 1)
        bed.world.cluster.on('operate_read_op', before=on)

    after(2)  # its name, its header, and then what was noted

    assert file(bed, image_id, request_of(1)) == 503


# Whoever downloads


def test_who_downloads_the_original_goes_on_being_shown_it(bed):
    """Nova and Cinder look at the image again when they have its bytes."""
    image_id = bed.image(copied=False)
    downloader, other = request_of(1), request_of(2)
    assert look(bed, image_id, downloader) == 'qcow2'
    assert file(bed, image_id, downloader) == 'qcow2'

    bed.commit(image_id)
    for ago in (0, LONG):
        bed.committed(image_id, ago)
        for _ in range(2):
            found = bed.get(f'/{image_id}', downloader)
            assert (found['disk_format'], found['size']) == ('qcow2', 3000)
        assert bed.get(f'/{image_id}/locations', downloader) == []
        assert file(bed, image_id, downloader) == 'qcow2'
        assert look(bed, image_id, other) == 'raw'
        assert bed.get(f'/{image_id}/locations', other) != []


def test_another_worker_knows_who_downloads(bed):
    image_id = bed.image(copied=False)
    file(bed, image_id, request_of(1))
    bed.commit(image_id)
    other_worker(bed)

    assert look(bed, image_id, request_of(1)) == 'qcow2'
    assert look(bed, image_id, request_of(2)) == 'raw'


def test_a_download_without_a_wish_or_by_nobody_known_is_not_noted(bed):
    """No copy comes; or others have the same token."""
    file(bed, bed.image(copied=False), NOVA)
    for facts in ({'properties': {}}, {'disk_format': 'raw'}):
        image_id = bed.image(copied=False, **facts)
        file(bed, image_id, request_of(1))
    hidden = bed.image(copied=False)
    bed.glance.hidden.add(hidden)
    file(bed, hidden, request_of(1))

    assert notes(bed) == {}


def test_a_download_while_an_ordered_copy_is_made_is_noted(bed):
    image_id = bed.image(copied=False, properties={})
    bed.world.begin(image_id)

    file(bed, image_id, request_of(1))

    assert len(notes(bed)) == 1


def test_a_download_is_remembered_for_hours(bed, monkeypatch):
    image_id = bed.image(copied=False)
    file(bed, image_id, request_of(1))
    bed.commit(image_id, ago=LONG)
    assert look(bed, image_id, request_of(1)) == 'qcow2'

    monkeypatch.setattr(shown, 'KEPT', -5.0)

    assert look(bed, image_id, request_of(1)) == 'raw'


def test_a_full_pool_does_not_keep_anybody_from_downloading(bed):
    image_id = bed.image(copied=False)
    bed.world.fill()

    assert file(bed, image_id, request_of(1)) == 'qcow2'
    assert look(bed, image_id, request_of(2)) == 'qcow2'


# What it costs


@pytest.mark.parametrize('caller', CALLERS)
def test_a_young_copy_is_noted_once_by_each_worker_and_consumer(bed, caller):
    image_id = bed.image(copied=False)
    bed.commit(image_id)

    assert reads(bed, f'/{image_id}', caller) == 3, 'and one write'
    (written,) = notes(bed).items()
    assert reads(bed, f'/{image_id}', caller) == 2
    other_worker(bed)
    assert reads(bed, f'/{image_id}', caller) == 3, 'what is noted'
    assert reads(bed, f'/{image_id}', caller) == 2
    assert list(notes(bed).items()) == [written]


def test_downloads_are_looked_up_for_hours(bed):
    image_id = bed.image(copied=False)
    bed.commit(image_id, ago=LONG)
    assert reads(bed, f'/{image_id}', request_of(1)) == 3
    assert reads(bed, f'/{image_id}', NOVA) == 2, 'has none'

    bed.committed(image_id, ago=shown.KEPT + 5)

    assert reads(bed, f'/{image_id}', request_of(1)) == 2
    assert notes(bed) == {}


def test_an_image_without_a_copy_costs_two_reads(bed):
    """Its names; and whether there was one that was evicted, or has gone."""
    image_id = bed.image(copied=False)

    assert reads(bed, f'/{image_id}', request_of(1)) == 2


def test_bytes_of_a_copy_of_long_ago_cost_no_read_of_notes(bed):
    image_id = bed.image()

    assert reads(bed, f'/{image_id}/file', request_of(1)) == 2
    assert bed.ask(f'/{image_id}/file').content_length == SIZE


# Two at the same moment, for the same request


def shown_before(bed):
    """A young copy that the worker knows, so that it reads ahead."""
    image_id = bed.image(copied=False)
    bed.commit(image_id)
    assert look(bed, image_id, request_of(2)) == 'raw'
    return image_id


def test_who_begins_to_download_while_it_looks_is_shown_that(bed):
    """What was read ahead is not noted any more."""
    image_id, caller = shown_before(bed), request_of(1)
    given = []
    meanwhile(bed, lambda: given.append(file(bed, image_id, caller)))

    assert look(bed, image_id, caller) == 'qcow2'

    assert given == ['qcow2']
    assert look(bed, image_id, caller) == 'qcow2'
    assert file(bed, image_id, caller) == 'qcow2'


def test_who_is_shown_the_copy_twice_at_once_is_shown_it(bed):
    image_id, caller = shown_before(bed), request_of(1)
    seen = []
    meanwhile(bed, lambda: seen.append(look(bed, image_id, caller)))

    assert look(bed, image_id, caller) == 'raw'

    assert seen == ['raw']
    assert file(bed, image_id, caller) == 'raw'


def test_who_begins_to_download_when_the_copy_has_gone_goes_on_with_it(
    bed, monkeypatch
):
    """Whoever looks then has read that nothing is noted."""
    image_id, caller = shown_before(bed), request_of(1)
    bed.world.pool.delete(image_id)
    noted, given = downloads.noted, []

    def late(ioctx, *args):
        found = noted(ioctx, *args)
        if not given:
            given.append('qcow2')
            note = shown.Note(shown.Kind.DOWNLOADS)
            downloads.note(ioctx, *args[:2], note, time.time())
        return found

    monkeypatch.setattr(downloads, 'noted', late)
    assert look(bed, image_id, caller) == 'qcow2'
    bed.commit(image_id)

    assert look(bed, image_id, caller) == 'qcow2'
    assert file(bed, image_id, caller) == 'qcow2'


def test_a_note_that_somebody_changes_every_time_is_given_up(bed, monkeypatch):
    image_id, caller = shown_before(bed), request_of(1)
    refused = []

    def change(*_args):
        refused.append(1)
        return False

    monkeypatch.setattr(omap.Table, 'change', change)

    answer = bed.ask(f'/{image_id}', caller)

    assert answer.status_int == 503
    assert len(refused) == promises.TRIES
