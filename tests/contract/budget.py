# SPDX-License-Identifier: Apache-2.0
"""What copies count, and who may reserve, in any raw pool."""

import dataclasses
import time
import uuid

import pytest

from glance_rawstore import admission
from glance_rawstore import budget
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import omap
from glance_rawstore.admission import Claim
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.budget import Entry
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.lifecycle.slices import Slices
from tests.contract.world import DATA
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.contract.world import volumes
from tests.waiting import DEADLINE
from tests.waiting import pause

TEN = Limits(bytes=10 * MIB)


class Impatient(Exception):
    pass


def impatient(seconds):
    raise Impatient


def never(seconds):
    raise AssertionError('nobody else has it')


def patient():
    """A way to wait: 16.2 was seen to let locks last up to a second more."""
    end = time.monotonic() + DEADLINE

    def wait(seconds):
        assert time.monotonic() < end, 'it does not run out'
        pause(seconds)

    return wait


def claim(image_id, rbd_id, needed):
    return Claim(image_id, rbd_id, needed, 0, SIZE)


def begun(world, image_id=None):
    """Begin a copy that is not measured yet; its image's id and its own."""
    image_id = image_id or str(uuid.uuid4())
    return image_id, world.pool.begin(image_id, 0, 8 * MIB)


def used(world, rbd_id):
    return directory.header(world.pool.ioctx, rbd_id).bytes_used


def written(world):
    """What is written down of all copies."""
    return budget._known(world.pool.ioctx)


class BudgetContract:
    """What is there counts, whatever was written down of it."""

    def test_an_empty_pool_counts_nothing(self, world):
        assert budget.entries(world.pool) == {}
        assert budget.read(world.pool, Limits()).taken == 0

    def test_copies_count_what_they_use_until_they_are_gone(self, world):
        image_id, rbd_id = world.copy()
        entry = Entry(image_id, used(world, rbd_id), reserved=False)
        assert entry.bytes >= len(DATA)

        assert budget.entries(world.pool) == {rbd_id: entry}
        with volumes(world, 2) as consumer:
            consumer.clone(image_id, 'child')
            world.pool.delete(image_id)
            assert budget.entries(world.pool) == {rbd_id: entry}
        world.pool.purge(rbd_id)
        assert budget.entries(world.pool) == {}

    def test_what_is_being_made_counts_its_data(self, world):
        image_id, rbd_id = world.begin()
        data = Slices('x', (Slice(0, MIB, 7), Slice(MIB, SIZE - MIB, 5)))
        world.keep(image_id, rbd_id, data)

        entry = Entry(image_id, 12, reserved=True)
        assert budget.entries(world.pool) == {rbd_id: entry}

    def test_of_what_nothing_is_known_the_whole_disk_counts(self, world):
        image_id, rbd_id = world.begin()

        entry = Entry(image_id, SIZE, reserved=True)
        assert budget.entries(world.pool) == {rbd_id: entry}

    def test_what_has_no_size_yet_counts_nothing(self, world):
        world.pool.begin('6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f', 0, 8 * MIB)

        assert budget.entries(world.pool) == {}

    def test_somebody_elses_original_counts_nothing(self, world):
        world.create('golden')

        assert budget.entries(world.pool) == {}

    def test_what_is_written_down_is_repaired(self, world):
        """A reservation of nothing, one that was kept, and one missing."""
        image_id, rbd_id = world.copy()
        _, missing = world.copy()
        ioctx = world.pool.ioctx
        budget.put(ioctx, 'gone', Entry('nobody', 5, reserved=True))
        budget.put(ioctx, rbd_id, Entry(image_id, 5, reserved=True))
        budget._TABLE.write(ioctx, 'torn', b'?')

        true = budget.entries(world.pool)
        assert true.keys() == {rbd_id, missing}
        assert true[rbd_id].bytes == used(world, rbd_id)
        assert 'gone' in written(world), 'looking changes nothing'

        assert budget.refresh(world.other_node()) == true
        assert written(world) == true

    def test_all_are_written_down_however_many(self, world, monkeypatch):
        monkeypatch.setattr(omap, '_PAGE', 2)
        copies = [world.copy() for _ in range(5)]

        budget.refresh(world.pool)

        assert written(world).keys() == {rbd_id for _, rbd_id in copies}

    def test_a_reservation_stands_while_the_copy_is_made(self, world):
        image_id, rbd_id = world.begin()
        entry = Entry(image_id, 7, reserved=True)
        budget.put(world.pool.ioctx, rbd_id, entry)

        assert budget.refresh(world.other_node()) == {rbd_id: entry}

    def test_releasing_what_counts_nothing_is_accepted(self, world):
        budget.release(world.pool.ioctx, 'nothing')

        assert written(world) == {}


class CapacityContract:
    """What a pool can hold: its quota, or else all that is free."""

    def test_it_is_what_is_free(self, world):
        assert world.pool.capacity() > 10 * MIB

    def test_it_is_the_quota_where_there_is_one(self, world):
        world.set_quota(40 * MIB)
        try:
            found = budget.read(world.pool, Limits(percent=50))
        finally:
            world.set_quota(0)

        assert found.limit == 20 * MIB

    def test_percents_are_of_it(self, world):
        whole = budget.read(world.pool, Limits(percent=100)).limit
        tenth = budget.read(world.pool, Limits(percent=10)).limit

        assert tenth == pytest.approx(whole / 10, rel=0.05)


class AdmissionContract:
    """Of those who race for the last space, one gets it."""

    def admit(self, world, image_id, rbd_id, needed, limits=TEN, **usual):
        calls = {'evict': admission.nobody, 'wait': never, **usual}
        admission.admit(
            world.pool, limits, claim(image_id, rbd_id, needed), **calls
        )

    def test_what_fits_is_reserved(self, world):
        image_id, rbd_id = begun(world)

        self.admit(world, image_id, rbd_id, 3 * MIB)

        entry = Entry(image_id, 3 * MIB, reserved=True)
        assert written(world) == {rbd_id: entry}
        assert budget.read(world.pool, TEN).reserved == 3 * MIB

    def test_what_does_not_fit_is_refused_with_numbers(self, world):
        first, second = begun(world), begun(world)
        self.admit(world, *first, 6 * MIB)

        with pytest.raises(
            exceptions.OverBudget,
            match=r'needs 5\.0 MiB \(64\.0 MiB at most\).* 10\.0 MiB, '
            r'4\.0 MiB are free',
        ):
            self.admit(world, *second, 5 * MIB)

        assert second[1] not in written(world)

    def test_without_a_limit_nothing_is_written(self, world):
        self.admit(world, *begun(world), 3 * MIB, limits=Limits())

        assert written(world) == {}

    def test_who_reserves_again_does_not_count_twice(self, world):
        image_id, rbd_id = begun(world)
        self.admit(world, image_id, rbd_id, 9 * MIB)

        self.admit(world, image_id, rbd_id, 10 * MIB)

        assert budget.read(world.pool, TEN).reserved == 10 * MIB

    def test_what_is_done_counts_what_it_uses(self, world):
        image_id, rbd_id = begun(world)
        self.admit(world, image_id, rbd_id, 9 * MIB)
        world.pool.resize(image_id, rbd_id, SIZE)
        world.write(image_id)
        count = world.pool.commit(image_id, rbd_id, {})

        admission.settle(world.pool, TEN, image_id, rbd_id, count)

        found = budget.read(world.pool, TEN)
        assert (found.used, found.reserved) == (count, 0)

    def test_what_is_given_up_counts_nothing(self, world):
        image_id, rbd_id = begun(world)
        self.admit(world, image_id, rbd_id, 9 * MIB)
        world.pool.discard(image_id, rbd_id)

        admission.withdraw(world.pool, TEN, rbd_id)

        assert written(world) == {}

    def test_who_died_before_it_was_given_up_counts_nothing_either(
        self, world
    ):
        image_id, rbd_id = begun(world)
        self.admit(world, image_id, rbd_id, 9 * MIB)
        world.pool.discard(image_id, rbd_id)

        self.admit(world, *begun(world, image_id), 10 * MIB)

    def test_one_reserves_at_a_time(self, world):
        image_id, rbd_id = begun(world)
        with (
            budget.locked(world.other_node().ioctx, never),
            pytest.raises(Impatient),
        ):
            self.admit(world, image_id, rbd_id, MIB, wait=impatient)

        self.admit(world, image_id, rbd_id, MIB)

    def test_the_lock_of_who_died_runs_out(self, world, monkeypatch):
        monkeypatch.setattr(budget, 'DURATION', 2)
        image_id, rbd_id = begun(world)
        with budget.locked(world.other_node().ioctx, never) as lock:
            lock._stop.set()  # as if its process were gone
            lock._thread.join()
            world.pass_time(2)

            self.admit(world, image_id, rbd_id, MIB, wait=patient())

    def test_who_has_lost_the_lock_reserves_nothing(self, world, monkeypatch):
        monkeypatch.setattr(budget, 'DURATION', 2)
        limits = dataclasses.replace(TEN, high=20, low=10)
        others = []

        def slow(now, needed):
            world.pass_time(2)
            taken = budget.locked(world.other_node().ioctx, patient())
            taken.__enter__()
            others.append(taken)

        monkeypatch.setattr('glance_rawstore.lease.Lock._keep', lambda _: None)
        image_id, rbd_id = begun(world)
        try:
            with pytest.raises(exceptions.CephUnavailable):
                self.admit(
                    world, image_id, rbd_id, 3 * MIB, limits, evict=slow
                )
            assert rbd_id not in written(world)
        finally:
            for taken in others:
                taken.__exit__(None, None, None)

    def test_names_are_what_the_manual_says(self):
        assert budget.OBJECT == 'glance_rawstore.budget'
        assert raw_copy.META_PREFIX == 'glance_rawstore.'
