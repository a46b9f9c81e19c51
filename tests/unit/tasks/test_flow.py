# SPDX-License-Identifier: Apache-2.0
"""Whole conversions: how they end, and what is left of them."""

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import nodes
from glance_rawstore import raw_pool
from glance_rawstore import slots
from glance_rawstore import stores
from glance_rawstore.lease import Lease
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from tests.contract.raw_pool import RawPoolContract
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit import headers
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL


def test_an_image_gets_its_copy_its_location_and_its_task(work):
    task = work.run()

    assert work.world.pool.status(ID) is Status.ACTIVE
    RawPoolContract.check_intact(work.world, ID)
    assert work.location() == raw_copy.location_metadata(
        'raw', Status.ACTIVE, 100, {'n1': 5}
    )
    assert task.status == 'success'
    assert task.result.pop('seconds') >= 0
    assert task.result == {
        'image_id': ID,
        'store': 'raw',
        'virtual_size_bytes': SIZE,
        'bytes_used': len(DATA),
    }
    assert task.message.startswith('The raw copy is ready: 20.5 KiB used, ')
    assert task.messages[:2] == [
        'Waiting to make a raw copy.',
        'Preparing the raw copy.',
    ]
    assert any(m.startswith('Converting to raw: ') for m in task.messages)


def test_the_tenant_is_named_on_the_task(work):
    assert work.run().requester.user_id == 'user'


def test_nothing_is_held_when_it_has_ended(work):
    work.run()

    with slots.slot(str(work.scratch), 1, lambda _: pytest.fail('held')):
        pass
    assert all(p.stat().st_size == 0 for p in work.scratch.iterdir())
    rbd_id = work.world.pool.rbd_id(raw_copy.name(ID))
    lease = Lease(work.world.other_node().ioctx, rbd_id, 6)
    lease.acquire()
    lease.release()


def test_another_converts_while_it_commits(work, monkeypatch):
    scratch, commit, found = str(work.scratch), raw_pool.RawPool.commit, []

    def free():
        found.append(slots.at_once(scratch, 1))
        if found[-1] is not None:
            found[-1].close()

    def noted(*args):
        free()
        return commit(*args)

    monkeypatch.setattr(raw_pool.RawPool, 'commit', noted)
    work.converter.during = lambda _calls: free()

    assert work.run().status == 'success'

    assert [slot is not None for slot in found] == [False, True]


def test_an_original_in_rbd_is_converted_in_place(work):
    pool = work.world.cluster.create_pool('images')
    settings = ceph.Settings(
        work.world.settings.conf_file, 'glance', pool.name
    )
    work.stores['ceph'] = stores.Store('ceph', 'rbd', 0, settings)
    with ceph.connect(settings) as (_client, ioctx):
        ceph.rbd.RBD().create(ioctx, ID, len(ORIGINAL), 22)
        with ceph.rbd.Image(ioctx, ID) as image:
            image.write(ORIGINAL, 0)
            image.create_snap('snap')
    row = work.catalog.row(f'rbd://fsid/images/{ID}/snap', 'ceph')
    work.catalog.change(ID, locations=(row,))
    work.catalog.bytes.clear()

    assert work.run().status == 'success'

    protocol = nodes.rbd('images', ID, settings.conf_file, 'glance', 'snap')
    assert work.converter.source == nodes.source('qcow2', protocol, 65536)


@pytest.mark.parametrize(
    ('facts', 'message'),
    [
        ({'properties': {}}, 'No raw copy is wanted any more.'),
        ({'disk_format': 'raw'}, 'A raw image needs no raw copy.'),
        ({'disk_format': 'iso'}, 'A iso image needs no raw copy.'),
    ],
)
def test_no_copy_where_none_is_needed_is_a_success(work, facts, message):
    work.catalog.change(ID, **facts)

    task = work.run()

    assert (task.status, task.message) == ('success', message)
    work.assert_nothing_is_left()


@pytest.mark.parametrize(
    ('facts', 'text'),
    [
        ({'properties': {'raw_cache': 'maybe'}}, 'must be true or false'),
        (
            {'properties': {'raw_cache': '1', 'raw_cache_weight': 'x'}},
            'must be a whole number',
        ),
        ({'disk_format': 'ploop'}, 'ploop is not supported'),
        ({'container_format': 'ova'}, 'only bare is'),
        ({'disk_format': 'vmdk'}, 'such an image is not converted'),
        ({'size': 4999}, 'more data than its size says'),
        ({'size': 5001}, 'less data than its size says'),
        ({'locations': ()}, 'no data'),
    ],
)
def test_the_tenant_reads_why_there_is_no_copy(work, facts, text):
    work.catalog.change(ID, **facts)

    task = work.run()

    assert task.status == 'failure'
    assert text in task.message
    work.assert_nothing_is_left()


@pytest.mark.parametrize(
    ('original', 'text'),
    [
        (headers.qcow2(backing_offset=512), 'has a backing file'),
        (headers.qcow2(size=1 << 62), 'is larger than'),
        (bytes(5000), 'its data is not qcow2'),
    ],
)
def test_qemu_img_does_not_see_what_was_refused(work, original, text):
    work.catalog.add(ID, original)

    task = work.run()

    assert task.status == 'failure'
    assert text in task.message
    assert work.converter.source is None
    work.assert_nothing_is_left()


def test_an_image_in_the_image_is_not_published(work):
    work.converter.data = headers.qcow2()

    assert 'itself a qcow2 image' in work.run().message

    work.assert_nothing_is_left()


def test_the_weight_is_the_tenants_own(work):
    wishes = {'raw_cache': 'true', 'raw_cache_weight': '7'}
    work.catalog.change(ID, properties=wishes)

    work.run()

    assert work.location()['metrics']['weight'] == '7'


def test_the_location_is_pending_while_it_is_converted(work):
    seen = []
    work.converter.during = lambda _: seen.append(work.location()['status'])

    work.run()

    assert seen == ['pending']


def test_a_copy_that_is_there_is_a_success(work):
    work.world.copy(ID)

    task = work.run()

    assert task.status == 'success'
    assert 'already' in task.message
    RawPoolContract.check_intact(work.world, ID)


def test_a_copy_that_another_worker_makes_is_left_to_it(work):
    _, rbd_id = work.world.begin(ID)
    lease = Lease(work.world.other_node().ioctx, rbd_id, 30)
    lease.acquire()

    task = work.run()
    lease.release()

    assert task.status == 'success'
    assert task.message == 'Another worker is making this raw copy.'
    assert work.world.pool.has_part(ID, rbd_id)


def test_what_a_dead_worker_left_is_taken_over(work):
    work.world.begin(ID)

    assert work.run().status == 'success'


def test_a_lost_lease_is_no_failure_of_the_copy(work, caplog):
    """Who was frozen for a while has it made by another."""

    def lose(_calls):
        raise exceptions.LeaseLost

    work.converter.during = lose

    work.run()

    assert f'Raw copy of image {ID} left to another worker' in caplog.text
    assert 'failed' not in caplog.text
