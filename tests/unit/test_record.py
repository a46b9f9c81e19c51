# SPDX-License-Identifier: Apache-2.0
"""Two workers change what is kept of slices, in a pool in memory."""

import pytest

from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import record
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import FREE
from glance_rawstore.lifecycle.slices import LEFT
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.record import Record
from tests.contract.world import SIZE
from tests.unit.test_making import ID

HALF = SIZE // 2
CUT = (Slice(0, HALF, 1), Slice(HALF, HALF, 1))


class Both:
    """The owner of a ``.part``, and one who helps."""

    def __init__(self, world):
        self.world = world
        _, self.rbd_id = world.begin(ID)
        self.claim('owner')
        self.owner = self.of('owner')
        self.owner.begin(CUT)
        self.helper = self.of('owner', 'helper')
        self.helper.look()
        self.helper.take((FREE,))

    def claim(self, name):
        self.world.pool.note(ID, self.rbd_id, raw_copy.META_WORKER, name)

    def of(self, owner, name=''):
        pool = self.world.other_node()
        return Record(pool, self.rbd_id, owner, 'x', name)

    @property
    def states(self):
        """As they are in Ceph."""
        found = self.of(record.read(self.world.pool, self.rbd_id)[0])
        found.look()
        return found.todo.states

    def take_back(self):
        self.owner.look()
        self.owner.change(lambda found: found.take_back(['helper']))


@pytest.fixture
def both(world):
    return Both(world)


def test_each_has_a_slice_of_its_own(both):
    assert both.states == ('owner', 'helper')
    assert both.owner.take() == both.owner.todo.has('owner')
    assert both.of('owner', 'third').name == 'third'


def test_nobody_is_given_what_another_has_taken(both):
    third = both.of('owner', 'third')
    third.look()

    assert third.take((FREE, LEFT)) is None


def test_what_both_say_at_once_counts(both):
    both.helper.done()
    both.owner.done()

    assert both.states == (DONE, DONE)


def test_a_slice_that_was_taken_back_is_not_done(both):
    both.take_back()

    with pytest.raises(exceptions.LeaseLost):
        both.helper.done()

    assert both.states == ('owner', LEFT)


def test_nor_when_the_owner_writes_it_again(both):
    both.take_back()
    both.owner.done((LEFT,))

    with pytest.raises(exceptions.LeaseLost):
        both.helper.done()

    assert both.states == (DONE, LEFT + 'owner')
    assert both.owner.todo.has('owner').dirty


def test_nobody_is_believed_once_another_makes_the_copy(both):
    both.claim('successor')

    for each in (both.helper, both.owner):
        with pytest.raises(exceptions.LeaseLost):
            each.done()

    successor = both.of('successor')
    successor.adopt()
    assert both.states == (LEFT, LEFT)


@pytest.mark.parametrize('late', [True, False])
def test_a_change_whose_answer_was_lost(both, monkeypatch, late):
    """It is done after all, or arrives when the slice was taken back."""
    change, asked = directory.change_metas, []

    def lose(*args):
        asked.append(args)
        if not late:
            change(*args)
        raise exceptions.CephUnavailable()

    with monkeypatch.context() as patch:
        patch.setattr(directory, 'change_metas', lose)
        with pytest.raises(exceptions.CephUnavailable):
            both.helper.done()
    if not late:
        both.helper.done()
        assert both.states == ('owner', DONE)
        return
    both.take_back()
    assert change(*asked[0]) is False
    assert both.states == ('owner', LEFT)


def test_it_insists_while_the_cluster_does_not_answer(both, monkeypatch):
    monkeypatch.setattr(record, '_AGAIN', 0.0)
    looks = []

    def stop():
        looks.append(1)
        both.world.cluster.away = len(looks) < 3

    both.world.cluster.away = True

    both.helper.done(stop=stop)

    assert len(looks) == 3
    assert both.states == ('owner', DONE)


def test_until_it_is_told_to_stop(both):
    both.world.cluster.away = True

    with pytest.raises(exceptions.Interrupted):
        both.helper.done(stop=exceptions.Interrupted)

    both.world.cluster.away = False
    assert both.states == ('owner', 'helper')


def test_what_is_committed_is_not_changed(both):
    with both.world.pool.image(f'{ID}_raw.part') as image:
        image.metadata_remove(raw_copy.META_SLICES)

    for each in (both.helper, both.owner):
        with pytest.raises(exceptions.LeaseLost):
            each.done()

    with both.world.pool.image(f'{ID}_raw.part') as image:
        assert raw_copy.META_SLICES not in dict(image.metadata_list())


def test_what_is_gone_is_not_made_again(both):
    both.world.pool.discard(ID, both.rbd_id)

    with pytest.raises(exceptions.Cancelled):
        both.helper.done()

    assert directory.header(both.world.pool.ioctx, both.rbd_id) is None
