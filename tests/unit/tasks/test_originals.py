# SPDX-License-Identifier: Apache-2.0
"""Where an original is read from, and whose word is taken for it."""

import dataclasses

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import sources
from glance_rawstore import stores
from glance_rawstore.tasks import originals
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL

SETTINGS = ceph.Settings('/etc/ceph/ceph.conf', 'glance', 'images')
STORES = {
    'ceph': stores.Store('ceph', 'rbd', 0, SETTINGS),
    'disk': stores.Store('disk', 'file', 0),
}
OTHER = '00000000-0000-0000-0000-000000000000'


def find(work, url, metadata):
    image = dataclasses.replace(
        work.catalog.image(ID),
        locations=({'url': url, 'metadata': metadata},),
    )
    return originals.in_rbd(image, STORES)


def test_what_glance_wrote_is_found_in_rbd(work):
    found = find(work, f'rbd://fsid/images/{ID}/snap', {'store': 'ceph'})

    assert found == (SETTINGS, 'snap')


@pytest.mark.parametrize(
    ('url', 'metadata'),
    [
        # somebody else's image, pool or snapshot name in the path
        (f'rbd://fsid/images/{OTHER}/snap', {'store': 'ceph'}),
        (f'rbd://fsid/volumes/{ID}/snap', {'store': 'ceph'}),
        (f'rbd://fsid/images%2F{ID}/{ID}/snap', {'store': 'ceph'}),
        (f'rbd://fsid/images/../{ID}/snap', {'store': 'ceph'}),
        # a store that is none, or not in RBD
        (f'rbd://fsid/images/{ID}/snap', {}),
        (f'rbd://fsid/images/{ID}/snap', {'store': 'nothing'}),
        (f'rbd://fsid/images/{ID}/snap', {'store': 'disk'}),
        # something else than a URL of the driver's
        (f'rbd://{ID}', {'store': 'ceph'}),
        (f'http://fsid/images/{ID}/snap', {'store': 'ceph'}),
        (f'file:///images/{ID}/snap', {'store': 'ceph'}),
        (f'rbd://fsid/images/{ID}', {'store': 'ceph'}),
        (f'rbd://fsid/images/{ID}/snap/more', {'store': 'ceph'}),
        ('rbd://', {'store': 'ceph'}),
        ('', {'store': 'ceph'}),
    ],
)
def test_what_a_tenant_may_have_written_is_not_followed(work, url, metadata):
    assert find(work, url, metadata) is None


@pytest.mark.parametrize(
    ('url', 'metadata'),
    [
        ('rbd://[fsid/images/x/snap', {'store': 'ceph'}),
        (f'rbd://fsid/images/{ID}/snap', {'store': ['ceph']}),
        (f'rbd://fsid/images/{ID}/snap', {'store': {'ceph': 'ceph'}}),
    ],
)
def test_what_makes_no_sense_is_passed_over(work, url, metadata):
    """Glance takes lists and tables, too, and any text for a URL."""
    assert find(work, url, metadata) is None


def test_an_original_elsewhere_is_spooled(work):
    job = work.job()

    image = work.catalog.image(ID)
    with originals.open_original(job, image, print) as original:
        source = original.source
        assert source.read(0, 10000) == ORIGINAL
        assert source.node['driver'] == 'file'
        assert list(work.scratch.iterdir()) == []


@pytest.mark.parametrize('size', [0, 1, 4999, 5001, 1 << 20])
def test_a_store_that_gives_another_size_is_not_believed(work, size):
    work.catalog.change(ID, size=size)

    with (
        pytest.raises(exceptions.ConversionFailed, match='data than its size'),
        originals.open_original(work.job(), work.catalog.image(ID), print),
    ):
        pass


def test_the_copy_itself_is_no_original(work):
    row = work.catalog.row(work.url, 'raw')
    work.catalog.change(ID, locations=(row,))

    with (
        pytest.raises(exceptions.ConversionFailed, match='no data'),
        originals.open_original(work.job(), work.catalog.image(ID), print),
    ):
        pass


def test_an_image_without_locations_has_no_original(work):
    work.catalog.change(ID, locations=())

    with (
        pytest.raises(exceptions.ConversionFailed, match='no data'),
        originals.open_original(work.job(), work.catalog.image(ID), print),
    ):
        pass


def test_spooling_tells_how_far_it_is_and_ends_with_the_image(
    work, monkeypatch
):
    monkeypatch.setattr(originals, '_TELL', 0)
    task_id = work.catalog.create_task(None, 'raw', None, 'x')
    image = work.catalog.image(ID)

    with originals.open_original(
        work.job(), image, lambda text: work.catalog.report(task_id, text)
    ):
        pass
    assert work.catalog.tasks[task_id].messages[-2:] == [
        'Reading the image: 80% of 4.9 KiB',
        'Reading the image: 100% of 4.9 KiB',
    ]

    del work.catalog.images[ID]
    with (
        pytest.raises(exceptions.Cancelled, match='was deleted'),
        originals.open_original(
            work.job(), image, lambda text: work.catalog.report(task_id, text)
        ),
    ):
        pass


@pytest.fixture
def in_ceph(work):
    """The original in a pool of its own, and nothing to wait for."""
    cluster = work.world.cluster
    cluster.create_pool('images')
    settings = ceph.Settings(cluster.conf_file, 'glance', 'images')
    work.stores['ceph'] = stores.Store('ceph', 'rbd', 0, settings)
    row = work.catalog.row(f'rbd://fsid/images/{ID}/snap', 'ceph')
    work.catalog.change(ID, locations=(row,))
    with ceph.connect(settings) as (_client, ioctx):
        ceph.rbd.RBD().create(ioctx, ID, len(ORIGINAL), 22)
        with ceph.rbd.Image(ioctx, ID) as image:
            image.write(ORIGINAL, 0)
            image.create_snap('snap')
        yield ioctx


def test_an_original_that_is_lost_is_not_called_the_copy(work, in_ceph):
    """As after Glance's database was restored from a backup."""
    with ceph.rbd.Image(in_ceph, ID) as image:
        image.remove_snap('snap')
    ceph.rbd.RBD().remove(in_ceph, ID)

    with (
        pytest.raises(exceptions.ConversionFailed) as caught,
        originals.open_original(work.job(), work.catalog.image(ID), print),
    ):
        pass

    assert str(caught.value) == (
        "The image's data is not where Glance says that it is."
    )
    assert f'images/{ID}@snap' in caught.value.in_full


@pytest.mark.usefixtures('in_ceph', '_no_waiting')
def test_an_original_that_is_removed_while_it_is_read_makes_no_copy(
    work, monkeypatch
):
    """What is read of it then is zeros; Ceph knows no watchers of it."""

    def gone(_self):
        raise exceptions.NotFound

    work.converter.during = lambda _calls: monkeypatch.setattr(
        sources.RbdSource, 'watchers', gone
    )

    task = work.run()

    assert (task.status, task.message) == ('failure', originals.MISPLACED)
    work.assert_nothing_is_left()


def reader(work):
    """A client that reads the original as qemu does."""
    client = ceph.rados.Rados(work.world.cluster.conf_file, 'glance')
    ceph.rbd.Image(client.open_ioctx('images'), ID)
    return client


@pytest.fixture
def _no_waiting(monkeypatch):
    monkeypatch.setattr(originals, '_BETWEEN_LOOKS', 0)


@pytest.mark.usefixtures('_no_waiting')
def test_an_original_whose_deletion_was_refused_can_be_read_again(
    work, in_ceph
):
    image = work.catalog.image(ID)
    with originals.open_original(work.job(), image, print) as original:
        others = reader(work)
        original.note_others()
        ours = reader(work)
        original.note_readers()
        assert original.readers == {ours.address}
    ours.kill()
    with ceph.rbd.Image(in_ceph, ID) as opened:
        opened.remove_snap('snap')

    originals.repair(work.job(), image, original.readers)

    with ceph.rbd.Image(in_ceph, ID, read_only=True) as opened:
        assert opened.is_protected_snap('snap')
        assert opened.read(0, len(ORIGINAL)) == ORIGINAL
        watchers = [w['addr'] for w in opened.watchers_list()]
    assert watchers == [others.address], 'who reads it besides is left alone'


@pytest.mark.usefixtures('_no_waiting')
def test_an_original_that_is_gone_needs_no_repair(work, in_ceph):
    image = work.catalog.image(ID)
    del work.catalog.images[ID]
    with ceph.rbd.Image(in_ceph, ID) as opened:
        opened.remove_snap('snap')

    originals.repair(work.job(), image, set())

    with ceph.rbd.Image(in_ceph, ID, read_only=True) as opened:
        assert list(opened.list_snaps()) == [], 'its deletion goes on'
    ceph.rbd.RBD().remove(in_ceph, ID)

    work.catalog.add(ID, ORIGINAL, locations=image.locations)
    originals.repair(work.job(), image, set())
