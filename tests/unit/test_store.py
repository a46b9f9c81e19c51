# SPDX-License-Identifier: Apache-2.0
"""The driver, with its real parent, on a Ceph in memory."""

import errno
import hashlib
import io
import textwrap
import threading
import time
import types
import uuid

import pytest
from glance_store import exceptions as store_exceptions
from glance_store._drivers import rbd as parent

from glance_rawstore import catalog
from glance_rawstore import convert
from glance_rawstore import importing
from glance_rawstore import slots
from glance_rawstore import store
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import SIZE
from tests.contract.world import volumes
from tests.fakes import bindings
from tests.fakes import ceph as fakes
from tests.fakes.catalog import FakeCatalog
from tests.fakes.catalog import Task
from tests.unit import configured
from tests.unit import headers
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import Converter
from tests.waiting import eventually

DATA = headers.qcow2(size=SIZE).ljust(5000, b'\1')


@pytest.fixture
def make(world, tmp_path, monkeypatch):
    """Make the driver of the store ``raw`` from a configuration."""
    fakes.install(monkeypatch, parent)

    def build(more='', default='ceph'):
        where = (
            f'rbd_store_ceph_conf = {world.settings.conf_file}\n'
            'rbd_store_user = glance\n'
        )
        conf = configured.read(
            tmp_path,
            f'[DEFAULT]\nenabled_backends = ceph:rbd,raw:rawrbd\n'
            f'[glance_store]\ndefault_backend = {default}\n'
            f'[ceph]\n{where}rbd_store_pool = images\n'
            f'[raw]\n{where}rbd_store_pool = images_raw\n'
            + textwrap.dedent(more),
        )
        driver = store.Store(conf, backend='raw')
        driver.configure()
        return driver

    return build


@pytest.fixture
def driver(make):
    return make()


def location(world, name):
    """A location as glance_store hands it to the driver."""
    fsid = world.cluster.fsid
    specifics = {
        **{'fsid': fsid, 'pool': 'images_raw', 'image': name},
        **{'snapshot': 'snap', 'scheme': 'rbd'},
    }
    return types.SimpleNamespace(
        store_location=store.StoreLocation(specifics, None)
    )


def copy_location(world, image_id=ID):
    return location(world, raw_copy.name(image_id))


@pytest.mark.parametrize(
    ('more', 'default', 'text'),
    [
        ('', 'raw', 'default_backend'),
        ('weight = 0\n', 'ceph', 'weight'),
        ('[ceph]\nrbd_store_pool = images_raw\n', 'ceph', 'shares the pool'),
        ('raw_cache_budget = plenty\n', 'ceph', 'raw_cache_budget must'),
        ('raw_cache_high_watermark = 70\n', 'ceph', 'raw_cache_low_water'),
    ],
)
def test_a_set_up_that_cannot_be_meant_ends_the_start(
    make, more, default, text
):
    """Not swallowed, as Glance does with what the parent says of itself."""
    with pytest.raises(store_exceptions.BadStoreConfiguration, match=text):
        make(more, default)


def test_the_store_weighs_less_than_any_default(driver):
    assert driver.weight == -1000


def test_a_copy_is_never_served_as_the_image(world, driver):
    world.copy(ID)

    with pytest.raises(store_exceptions.NotFound):
        driver.get(copy_location(world))


def test_the_size_of_a_copy_is_that_of_the_guests_disk(world, driver):
    _, rbd_id = world.begin(ID)
    assert driver.get_size(copy_location(world)) == SIZE
    world.pool.commit(ID, rbd_id, {})
    assert driver.get_size(copy_location(world)) == SIZE
    world.pool.delete(ID)
    with pytest.raises(store_exceptions.NotFound):
        driver.get_size(copy_location(world))


@pytest.mark.parametrize('state', ['begin', 'copy'])
def test_a_copy_is_deleted_by_its_location(world, driver, state):
    getattr(world, state)(ID)

    driver.delete(copy_location(world))

    assert world.names() == world.trash() == []
    with pytest.raises(store_exceptions.NotFound):
        driver.delete(copy_location(world))


@pytest.mark.parametrize('clone_format', [1, 2])
def test_a_copy_with_clones_counts_as_deleted(world, driver, clone_format):
    world.copy(ID)
    with volumes(world, clone_format) as consumer:
        consumer.clone(ID, 'child')

        driver.delete(copy_location(world))

        assert world.names() == []
        assert len(world.trash()) == 1


def test_a_cluster_that_is_away_is_an_error_that_glance_knows(world, driver):
    """Glance then tries again later, with its scrubber or by the user."""
    world.copy(ID)

    def lost():
        raise bindings.rbd_error(errno.ETIMEDOUT, 'no answer')

    for operation in ('_find', 'trash_move', 'trash_remove'):
        world.cluster.on(operation, before=lost)
        with pytest.raises(store_exceptions.InUseByStore):
            driver.delete(copy_location(world))


def test_other_bytes_are_kept_as_they_are(world, driver):
    """As the parent keeps them, under the image's own id."""
    data = b'raw bytes ' * 1000

    url, size, checksum, multihash, metadata = driver.add(
        ID, io.BytesIO(data), len(data), 'sha512'
    )

    assert world.names() == [ID]
    assert url == f'rbd://{world.cluster.fsid}/images_raw/{ID}/snap'
    assert size == len(data)
    assert checksum == hashlib.md5(data).hexdigest()
    assert multihash == hashlib.sha512(data).hexdigest()
    assert metadata['store'] == 'raw'
    chunks, length = driver.get(location(world, ID))
    assert b''.join(chunks) == data
    assert length == len(data)
    driver.delete(location(world, ID))
    assert world.names() == []


def test_a_snapshot_of_novas_is_no_copy(world, driver):
    """Nova's direct snapshots land in the raw pool."""
    name = str(uuid.uuid4())
    world.create(name)
    with world.pool.image(name) as image:
        image.create_snap('snap')

    assert driver.get_size(location(world, name)) == 1 << 20
    driver.delete(location(world, name))
    assert world.names() == []


class Glance:
    """In the place of the catalog: images by their id."""

    def __init__(self, monkeypatch):
        self.catalog = FakeCatalog()
        monkeypatch.setattr(catalog, 'Catalog', lambda _conf: self.catalog)

    def importing(self, image_id):
        """An image that an import is storing."""
        properties = {'os_glance_import_task': 'import'}
        self.catalog.add(image_id, b'', properties=properties)
        self.catalog.tasks['import'] = Task(
            'processing', [''], catalog.Requester(None, None), None, image_id
        )

    @property
    def messages(self):
        return self.catalog.tasks['import'].messages


def test_the_only_store_of_an_image_it_cannot_be(world, driver, monkeypatch):
    glance = Glance(monkeypatch)
    glance.catalog.add(ID, b'', locations=())
    data = headers.qcow2()

    with pytest.raises(store_exceptions.Invalid, match='cannot be the only'):
        driver.add(ID, io.BytesIO(data), len(data), 'sha512', context=object())

    assert world.names() == world.trash() == []


def test_copy_image_tells_its_import_how_far_it_is(
    world, make, monkeypatch, tmp_path
):
    """Glance takes the lock of an import for stale that says nothing."""
    glance, converter = Glance(monkeypatch), Converter(world)
    glance.importing(ID)
    monkeypatch.setattr(convert, 'QemuImg', converter)
    monkeypatch.setattr(importing, 'INTERVAL', 0.0)
    driver = make(f'[glance_rawstore]\nscratch_dir = {tmp_path}/scratch\n')

    driver.add(ID, io.BytesIO(DATA), len(DATA), 'sha512', context=object())

    assert glance.messages[-2:] == [
        'Converting to raw: 50%',
        'The raw copy is ready.',
    ]
    assert world.pool.status(ID) is Status.ACTIVE


def test_copy_image_that_waits_for_a_slot_says_so(
    world, make, monkeypatch, tmp_path
):
    glance = Glance(monkeypatch)
    glance.importing(ID)
    monkeypatch.setattr(convert, 'QemuImg', Converter(world))
    monkeypatch.setattr(slots, '_RETRY', 0.01)
    monkeypatch.setattr(importing, 'INTERVAL', 0.0)
    driver = make(
        f'[glance_rawstore]\nscratch_dir = {tmp_path}\nmax_conversions = 1\n'
    )
    adding = threading.Thread(
        target=driver.add,
        args=(ID, io.BytesIO(DATA), len(DATA), 'sha512'),
        kwargs={'context': object()},
    )
    with slots.slot(str(tmp_path), 1, time.sleep):
        adding.start()
        eventually(
            lambda: (
                'Waiting for other conversions to end: it is next.'
                in glance.messages
            ),
            'it says that it waits',
        )
    adding.join()

    assert world.pool.status(ID) is Status.ACTIVE


def test_copy_image_stops_when_the_image_is_deleted(
    world, make, monkeypatch, tmp_path
):
    glance, converter = Glance(monkeypatch), Converter(world)
    glance.importing(ID)
    converter.during = lambda _: glance.catalog.images.clear()
    monkeypatch.setattr(convert, 'QemuImg', converter)
    driver = make(f'[glance_rawstore]\nscratch_dir = {tmp_path}/scratch\n')

    with pytest.raises(store_exceptions.Invalid, match='was deleted'):
        driver.add(ID, io.BytesIO(DATA), len(DATA), 'sha512', context=object())

    assert world.names() == world.trash() == []


def test_copy_image_does_not_fail_because_nobody_can_be_told(
    world, make, monkeypatch, tmp_path
):
    glance = Glance(monkeypatch)
    glance.importing(ID)
    monkeypatch.setattr(convert, 'QemuImg', Converter(world))
    glance.catalog.report = lambda *_: 1 / 0
    driver = make(f'[glance_rawstore]\nscratch_dir = {tmp_path}/scratch\n')

    driver.add(ID, io.BytesIO(DATA), len(DATA), 'sha512', context=object())

    assert world.pool.status(ID) is Status.ACTIVE


@pytest.mark.parametrize(
    ('data', 'announced', 'text'),
    [
        (headers.qcow2(backing_offset=1), 0, 'backing file'),
        (headers.qcow2(), 5000, '5000 bytes were announced'),
        (headers.qcow2(size=0), 0, 'names no virtual size'),
    ],
)
def test_what_is_refused_is_invalid_and_leaves_nothing(
    world, make, monkeypatch, tmp_path, data, announced, text
):
    Glance(monkeypatch)
    driver = make(f'[glance_rawstore]\nscratch_dir = {tmp_path}/scratch\n')

    with pytest.raises(store_exceptions.Invalid, match=text):
        driver.add(ID, io.BytesIO(data), announced, 'sha512')

    assert world.names() == world.trash() == []


def test_a_copy_that_is_there_is_a_duplicate(
    world, make, monkeypatch, tmp_path
):
    Glance(monkeypatch)
    driver = make(f'[glance_rawstore]\nscratch_dir = {tmp_path}/scratch\n')
    world.copy(ID)
    data = headers.qcow2()

    with pytest.raises(store_exceptions.Duplicate):
        driver.add(ID, io.BytesIO(data), len(data), 'sha512')

    assert world.pool.status(ID) is Status.ACTIVE


def test_a_pool_that_is_shared_by_way_of_backend_defaults_is_noticed(
    world, tmp_path, monkeypatch
):
    """Also of a store that Glance makes only after ours."""
    fakes.install(monkeypatch, parent)
    conf = configured.read(
        tmp_path,
        '[DEFAULT]\nenabled_backends = raw:rawrbd,ceph:rbd\n'
        '[glance_store]\ndefault_backend = ceph\n'
        '[backend_defaults]\nrbd_store_pool = shared\n'
        f'rbd_store_ceph_conf = {world.settings.conf_file}\n'
        '[ceph]\nweight = 0\n',
    )
    driver = store.Store(conf, backend='raw')

    with pytest.raises(store_exceptions.BadStoreConfiguration, match='shares'):
        driver.configure()
