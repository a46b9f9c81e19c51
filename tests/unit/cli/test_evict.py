# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore evict``"""

import json
import uuid

import pytest

from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import tally
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID

OTHER = str(uuid.uuid4())


@pytest.fixture
def ioctx(world):
    return world.pool.ioctx


@pytest.fixture
def copied(work):
    """An image with its copy."""
    work.run()
    return work


@pytest.fixture
def cloned(world, copied):
    """The same, with a clone of it."""
    with volumes(world, 2) as consumer:
        consumer.clone(ID, 'child')
        yield consumer


def told(work):
    """What listeners were told of copies that went."""
    return [
        (str(event), said['in_use'])
        for event, said in work.catalog.told
        if 'in_use' in said
    ]


def test_it_is_gone_until_somebody_asks(on_node, copied, world, ioctx):
    status, out, err = on_node('evict', '--yes', ID)

    assert (status, out, err) == (0, f'evicted           {ID}\n', '')
    assert world.names() == world.trash() == []
    assert copied.location() is None
    assert told(copied) == [('image.raw_copy.evict', False)]
    assert tally.read(ioctx).evictions == {'operator': 1}
    noted = evicted.read(ioctx, ID)
    assert (noted.policy, noted.bytes > 0) == ('operator', True)
    assert on_node('reconcile', '--dry-run')[1] == 'nothing to do\n'

    assert on_node('convert', '--here', ID)[0] == 0
    assert world.pool.status(ID) is Status.ACTIVE


def test_a_dry_run_does_nothing_and_says_what_would_be_freed(
    on_node, copied, world, ioctx
):
    status, out, _ = on_node('evict', '--dry-run', ID)

    assert (status, out) == (0, f'to be evicted     {ID}  20.5 KiB used\n')
    assert world.pool.status(ID) is Status.ACTIVE
    assert evicted.read(ioctx, ID) is None


def test_without_a_yes_nothing_is_done(on_node, copied, world, ioctx):
    status, out, err = on_node('evict', ID)

    assert (status, out) == (2, '')
    assert f'  {ID}  20.5 KiB used' in err
    assert '--yes' in err
    assert world.pool.status(ID) is Status.ACTIVE
    assert evicted.read(ioctx, ID) is None


def test_what_clones_need_is_kept(on_node, cloned, world):
    status, out, _ = on_node('evict', '--yes', ID)

    assert status == 1
    assert out == (
        f'kept              {ID}  Clones need it (1): evicting it would free '
        'nothing.\n'
    )
    assert world.pool.status(ID) is Status.ACTIVE
    assert on_node('evict', '--yes', '--all')[0] == 0, 'nothing went wrong'


def test_force_trashes_what_clones_need(on_node, cloned, world, ioctx):
    status, out, _ = on_node('evict', '--yes', '--force', ID)

    assert status == 0
    assert 'waits in the trash for its last clone' in out
    assert len(world.trash()) == 1
    assert evicted.read(ioctx, ID) is not None


def test_what_is_still_being_handed_on_is_kept(on_node, copied, world):
    rbd_id = world.pool.rbd_id(f'{ID}_raw')
    taken = lease.Lease(world.pool.ioctx, rbd_id, 30)
    taken.acquire()

    status, out, _ = on_node('evict', '--yes', ID)

    taken.release()
    assert (status, 'has not let go of it' in out) == (1, True)


def test_what_is_protected_is_kept(on_node, copied, world):
    on_node('protect', ID)

    status, out, _ = on_node('evict', '--yes', ID)
    assert (status, out) == (1, f'kept              {ID}  It is protected.\n')

    assert on_node('evict', '--yes', '--force', ID)[0] == 0
    assert world.names() == []


def test_what_is_not_there_ends_with_3(on_node, work, world):
    world.begin(OTHER)

    status, out, _ = on_node('evict', '--yes', ID, OTHER, '--format=json')

    assert status == 3
    assert [each['reason'] for each in json.loads(out)] == [
        'The image has no raw copy.',
        'The image has no active raw copy.',
    ]


def test_one_that_nobody_wishes_for_is_not_brought_back(on_node, copied):
    copied.catalog.change(ID, properties={})

    _, out, _ = on_node('evict', '--yes', ID)

    assert 'the image does not wish for it: convert brings it back' in out


def test_that_of_an_image_that_is_not_there_cannot_be_brought_back(
    on_node, world
):
    stranger, _ = world.copy()

    _, out, _ = on_node('evict', '--yes', stranger)

    assert out == f'evicted           {stranger}  there is no such image\n'


def test_a_full_pool_can_be_relieved(
    on_node, copied, world, ioctx, monkeypatch
):
    """It has no room for a note, before there is some."""
    note = evicted.note

    def noting(*args):
        if world.names():
            raise exceptions.NoSpace()
        note(*args)

    monkeypatch.setattr(evicted, 'note', noting)

    assert on_node('evict', '--yes', ID)[0] == 0
    assert world.names() == []
    assert evicted.read(ioctx, ID) is not None
