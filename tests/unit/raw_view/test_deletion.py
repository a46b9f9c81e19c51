# SPDX-License-Identifier: Apache-2.0
"""A deletion that finds the original open."""

import pytest

from glance_rawstore import lease
from glance_rawstore.raw_view import deletion
from tests.unit.raw_view.conftest import TENANT


@pytest.fixture
def worker(bed, monkeypatch):
    """A worker that makes a copy of an image, and reads its original."""
    worker = Worker(bed)
    monkeypatch.setattr(deletion.time, 'sleep', worker.pause)
    monkeypatch.setattr(deletion.time, 'monotonic', lambda: worker.time)
    return worker


class Worker:
    """It lets go after some seconds, if ever."""

    def __init__(self, bed):
        self.bed = bed
        self.image_id = bed.image(copied=False)
        _image_id, rbd_id = bed.world.begin(self.image_id)
        self.lease = lease.Lease(bed.world.pool.ioctx, rbd_id, duration=60)
        self.lease.acquire()
        bed.glance.in_use.add(self.image_id)
        self.time = 0.0
        self.lets_go_at = 3.0

    def pause(self, seconds):
        self.time += seconds
        if self.time >= self.lets_go_at:
            self.let_go()

    def let_go(self):
        self.lease.release()
        self.bed.glance.in_use.clear()

    def delete(self):
        return self.bed.ask(f'/{self.image_id}', TENANT, method='DELETE')


def test_an_image_is_deleted_once_its_conversion_has_let_go(bed, worker):
    assert worker.delete().status_int == 204
    assert worker.image_id not in bed.catalog.images
    assert 3 <= worker.time < 4
    assert bed.glance.asked == [f'DELETE /v2/images/{worker.image_id}'] * 2


def test_it_lets_go_while_glance_refuses(bed, worker):
    """Then it was the reason, though it is over when that is known."""
    bed.glance.after = worker.let_go

    assert worker.delete().status_int == 204
    assert worker.time == 0


def test_a_conversion_that_goes_on_is_not_the_reason(bed, worker):
    worker.lets_go_at = 60

    assert worker.delete().status_int == 409
    assert worker.time == pytest.approx(deletion.PATIENCE, abs=1)
    assert len(bed.glance.asked) == 1


def test_an_original_that_others_use_as_well_stays(bed, worker):
    worker.let_go = worker.lease.release

    assert worker.delete().status_int == 409
    assert len(bed.glance.asked) == 2


def test_a_conflict_without_a_conversion_is_answered_at_once(bed, worker):
    worker.lease.release()

    assert worker.delete().status_int == 409
    assert worker.time == 0
    assert len(bed.glance.asked) == 1


def test_an_image_that_may_not_be_deleted_is_not_asked_for_again(bed, worker):
    bed.glance.hidden.add(worker.image_id)

    assert worker.delete().status_int == 404
    assert len(bed.glance.asked) == 1


class Stored:
    """An image with a copy, in the stores ceph and raw."""

    def __init__(self, bed, *others):
        self.bed = bed
        self.image_id = bed.image()
        rows = [
            bed.catalog.row(bed.url(self.image_id), 'raw'),
            *(bed.catalog.row(f'file:///{name}', name) for name in others),
        ]
        locations = bed.catalog.images[self.image_id].locations
        bed.catalog.change(self.image_id, locations=(*locations, *rows))

    def delete_from(self, store):
        request = self.bed.request('', TENANT, method='DELETE')
        request.path_info = f'/v2/stores/{store}/{self.image_id}'
        return request.get_response(self.bed.view)


def test_an_original_is_not_deleted_from_its_only_store(bed):
    stored = Stored(bed)

    answer = stored.delete_from('ceph')

    assert answer.status_int == 403
    assert 'cannot be downloaded' in answer.text
    assert not any('stores' in asked for asked in bed.glance.asked)


@pytest.mark.parametrize('store', ['raw', 'disk', 'unknown'])
def test_other_deletions_from_stores_are_for_glance(bed, store):
    stored = Stored(bed)

    assert stored.delete_from(store).status_int == 405  # of our Glance
    assert f'DELETE /v2/stores/{store}/{stored.image_id}' in bed.glance.asked


def test_one_of_two_originals_may_be_deleted(bed):
    assert Stored(bed, 'disk').delete_from('ceph').status_int == 405


def test_the_only_location_is_for_glance_to_keep(bed):
    stored = Stored(bed)
    original, _copy = bed.catalog.images[stored.image_id].locations
    bed.catalog.change(stored.image_id, locations=(original,))

    assert stored.delete_from('ceph').status_int == 405


def test_who_may_not_see_an_image_learns_nothing_of_its_stores(bed):
    stored = Stored(bed)
    bed.glance.hidden.add(stored.image_id)

    assert stored.delete_from('ceph').status_int == 405
