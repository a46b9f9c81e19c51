# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore purge``"""

import json
import uuid

import pytest

from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore import orders
from glance_rawstore import tables
from glance_rawstore.lifecycle.raw_copy import location_metadata
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.orders import Order
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID

LOST = str(uuid.uuid4())


@pytest.fixture
def purge(on_node):
    return lambda *args: on_node('purge', '--store', 'raw', *args)


@pytest.fixture
def full(work, world):
    """A store with a copy, one that was begun, a lost row, a task, notes."""
    work.run()
    dead, _ = world.begin()
    work.catalog.add(LOST, b'')
    url = world.pool.url(LOST)
    metadata = location_metadata('raw', Status.ACTIVE, 100)
    work.catalog.put_location(LOST, url, metadata)
    image = work.catalog.images[LOST]
    requester = work.job().requester
    work.catalog.create_task(image, 'raw', requester, 'Waiting.')
    orders.give(world.pool.ioctx, LOST, Order(1.0, 'req'))
    return {ID, dead, LOST}


def test_nothing_is_left_and_it_says_what_to_do_then(purge, full, work, world):
    status, out, err = purge('--yes')

    assert (status, err) == (0, '')
    assert {line.split()[1] for line in out.splitlines()[:3]} == full
    assert '3 deleted' in out
    assert 'raw:rawrbd' in out
    assert 'the pool images_raw can be deleted' in out
    work.assert_nothing_is_left()
    assert world.cluster.pools['images_raw'].omaps == {}
    for image in work.catalog.images.values():
        assert [r['url'] for r in image.locations if 'rbd:' in r['url']] == []
    assert work.catalog.open_tasks() == []


def test_it_can_be_run_again(purge, full):
    purge('--yes')

    status, out, _ = purge('--yes', '--format=json')

    assert (status, json.loads(out)) == (0, [])


def test_what_clones_need_stays_until_they_are_gone(purge, full, world):
    with volumes(world, 2) as consumer:
        child = consumer.clone(ID, 'child')

        status, out, _ = purge('--yes')
        assert status == 1
        assert (
            f'stays             {ID}  in the trash: needed by {child}' in out
        )
        assert 'enabled_backends' not in out
        consumer.remove('child')

    assert purge('--yes')[0] == 0
    assert world.trash() == []


def test_somebodys_only_original_stays_and_is_told(purge, world, work):
    """Nova's direct snapshot lies in the pool under its image's own id."""
    image_id = str(uuid.uuid4())
    url = f'rbd://fsid/images_raw/{image_id}/snap'
    work.catalog.add(image_id, b'', locations=(work.catalog.row(url, 'raw'),))
    world.create(image_id)
    world.create('golden')

    status, out, _ = purge('--yes')

    assert status == 1
    assert f'stays             {image_id}  the only data of an image' in out
    assert 'golden  not a raw copy, and no image of this Glance' in out
    assert sorted(world.names()) == sorted([image_id, 'golden'])


def test_an_agent_that_is_there_is_in_the_way(purge, full, world):
    handover.Presence(world.pool.ioctx).show()
    before = world.names()

    status, out, err = purge('--yes')

    assert (status, out) == (1, '')
    assert 'An agent is running' in err
    assert 'Nothing was done' in err
    assert world.names() == before
    assert purge('--yes', '--force')[0] == 0
    assert world.names() == []


def test_so_is_a_copy_that_is_being_made(purge, world):
    image_id, rbd_id = world.begin()
    taken = lease.Lease(world.pool.ioctx, rbd_id, 30)
    taken.acquire()

    status, _, err = purge('--yes')

    assert status == 1
    assert f'The copy of image {image_id} is being made' in err
    assert 'image_import_plugins' in err
    _, _, err = purge('--dry-run')
    assert 'is being made' in err
    taken.release()


def test_a_dry_run_and_no_answer_change_nothing(purge, full, world, work):
    before = world.names(), dict(work.catalog.images)

    status, out, _ = purge('--dry-run')
    assert status == 0
    assert '3 to be deleted' in out
    status, _, err = purge()
    assert status == 2
    assert '--yes' in err

    assert (world.names(), work.catalog.images) == before
    assert orders.OBJECT in world.cluster.pools['images_raw'].omaps
    assert set(tables.OBJECTS) > {orders.OBJECT}


def test_the_store_must_be_named(on_node, full, world):
    status, _, err = on_node('purge', '--yes')

    assert status == 2
    assert 'purge --store raw' in err
    assert world.names() != []
    assert on_node('--store', 'raw', 'purge', '--yes')[0] == 0


def test_a_store_that_is_not_configured_is_told(on_node):
    status, _, err = on_node('purge', '--store', 'ceph', '--yes')

    assert status == 4
    assert 'raw' in err


def test_what_cannot_be_opened_stays_and_is_told(world, purge):
    image_id, rbd_id = world.copy()
    world.damage(rbd_id)

    status, out, _ = purge('--yes')

    assert status == 1
    assert f'stays             {image_id}  cannot be opened' in out
    assert world.names() == [f'{image_id}_raw']
