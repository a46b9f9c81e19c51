# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore verify``"""

import json

import pytest

from glance_rawstore import exceptions
from glance_rawstore.agent import verifying
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.tasks import originals
from tests.contract.world import SIZE
from tests.contract.world import volumes
from tests.unit import headers
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL


class Comparer:
    """qemu-img compare, whose answer is given.

    :ivar during: called while it compares
    """

    def __init__(self):
        self.sides = None
        self.first = None
        self.during = lambda: None

    def __call__(self, one, other, calls):
        self.sides = one, other
        calls.progress(0.5)
        self.during()
        reason = calls.stop()
        if reason is not None:
            raise reason
        return self.first


@pytest.fixture
def comparer(work, monkeypatch):
    """An image with its copy, to be compared."""
    work.run()
    found = Comparer()
    work.converter.compare = found
    monkeypatch.setattr(originals, '_BETWEEN_LOOKS', 0.0)
    return found


def test_what_consumers_clone_is_compared_with_the_original(on_node, comparer):
    status, out, err = on_node('verify', ID)

    assert (status, err) == (0, '')
    assert out.splitlines() == [
        f'              0%  {ID}  Comparing',
        f'             50%  {ID}  Comparing',
        f'identical         {ID}  64.0 MiB',
    ]
    one, other = comparer.sides
    assert (one['driver'], one['backing'], one['read-only']) == (
        *('qcow2', None),
        True,
    )
    assert other == {
        'driver': 'raw',
        'read-only': True,
        'file': {
            'driver': 'rbd',
            'pool': 'images_raw',
            'image': raw_copy.name(ID),
            'snapshot': 'snap',
            'conf': other['file']['conf'],
            'user': 'glance',
            'cache': {'direct': True},
        },
    }


def test_a_difference_ends_with_5(on_node, comparer):
    comparer.first = 4096

    status, out, _ = on_node('verify', '--format=json', ID)

    assert status == 5
    assert json.loads(out) == [
        {
            'image_id': ID,
            'outcome': 'different',
            'reason': 'from byte 4096 of 64.0 MiB on',
            'size_bytes': SIZE,
            'copy_size_bytes': SIZE,
            'first_difference_at_byte': 4096,
        }
    ]


def test_a_copy_of_another_size_is_different(on_node, comparer, world):
    with world.pool.image(raw_copy.name(ID)) as image:
        image.resize(2 * SIZE)

    status, out, _ = on_node('verify', ID)

    assert status == 5
    assert f'the copy has {2 * SIZE} bytes, the original {SIZE}' in out
    assert comparer.sides is None


def test_a_copy_whose_snapshot_was_removed_is_different(
    on_node, comparer, world
):
    """Not "cannot be converted", which it said: somebody has removed it."""
    with world.pool.image(raw_copy.name(ID)) as image:
        image.unprotect_snap('snap')
        image.remove_snap('snap')

    status, out, _ = on_node('verify', ID)

    assert status == 5
    assert 'its snapshot is gone, so that nothing can clone it' in out
    assert comparer.sides is None


def test_what_is_not_there_ends_with_3(on_node, work, world):
    other, _ = world.copy()

    status, out, _ = on_node('verify', ID, other)

    assert status == 3
    assert 'The image has no active raw copy.' in out
    assert 'There is no such image.' in out


def test_an_unsafe_original_is_not_opened(on_node, comparer, work):
    data = headers.qcow2(size=SIZE, backing_offset=512).ljust(5000)
    work.catalog.bytes[ID] = data

    status, out, _ = on_node('verify', ID)

    assert status == 1
    assert 'has a backing file' in out
    assert comparer.sides is None


def test_who_deletes_what_is_compared_is_not_in_the_way(
    on_node, comparer, work, monkeypatch
):
    """And what a deletion that failed half-way has left is mended."""
    mended = []
    monkeypatch.setattr(
        verifying.originals, 'repair', lambda *args: mended.append(args[2])
    )
    comparer.during = lambda: work.catalog.delete(ID)

    status, out, _ = on_node('verify', ID)

    assert status == 1
    assert 'The image was deleted.' in out
    assert mended == [set()]


def test_a_copy_that_is_deleted_meanwhile_ends_it(on_node, comparer, world):
    comparer.during = lambda: world.pool.delete(ID)

    status, out, _ = on_node('verify', ID)

    assert status == 3
    assert 'The copy was deleted meanwhile.' in out


def test_all_are_the_active_ones(on_node, comparer, world):
    world.begin()
    with volumes(world, 2) as consumer:
        trashed = world.copy()[0]
        consumer.clone(trashed, 'child')
        world.pool.delete(trashed)

        _, out, _ = on_node('verify', '--all', '--format=json')

    assert [each['image_id'] for each in json.loads(out)] == [ID]


def test_ceph_being_away_is_told(on_node, comparer, world):
    def away():
        raise exceptions.CephUnavailable()

    comparer.during = away

    status, out, _ = on_node('verify', ID)

    assert status == 1
    assert 'The storage cluster did not answer or refused.' in out


@pytest.mark.usefixtures('comparer')
def test_one_that_cannot_be_opened_does_not_keep_the_others(work, on_node):
    image_id, rbd_id = work.world.copy()
    work.catalog.add(image_id, ORIGINAL)
    work.world.damage(rbd_id)

    status, out, _ = on_node('verify', '--all')

    assert status == 1
    assert f'failed            {image_id}  The storage cluster cannot' in out
    assert f'identical         {ID}' in out
