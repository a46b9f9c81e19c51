# SPDX-License-Identifier: Apache-2.0
"""Reading the configured stores, and the set-ups that are refused."""

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore.cli import configuration
from tests.unit import configured


def settings(pool, conf_file='/etc/ceph/ceph.conf'):
    return ceph.Settings(conf_file, 'glance', pool)


def store(name, driver='rbd', weight=0, pool=None, **kwargs):
    where = settings(pool, **kwargs) if pool else None
    return stores.Store(name, driver, weight, where)


def raw(name='raw', weight=-1000, pool='images_raw', **kwargs):
    return store(name, stores.DRIVER, weight, pool, **kwargs)


def check(*others, judged=None, default='ceph', same=lambda one, two: True):
    judged = judged or raw()
    found = {each.name: each for each in (judged, *others)}
    stores.check(judged.name, found, default, same)


CEPH = store('ceph', pool='images')


@pytest.mark.parametrize(
    'others',
    [
        [],
        [CEPH],
        [CEPH, store('disk', 'file')],
        [CEPH, store('web', 'http', weight=-999)],
        [CEPH, raw('raw2', pool='other_raw')],
        # raw stores may weigh what they will beside each other
        [raw('raw2', weight=-2000, pool='other_raw')],
    ],
)
def test_a_sound_set_up_is_accepted(others):
    check(*others)


def test_the_raw_store_cannot_be_the_default():
    with pytest.raises(exceptions.BadSetup, match='default_backend'):
        check(CEPH, default='raw')


def test_no_default_is_no_reason_to_refuse():
    check(CEPH, default=None)


@pytest.mark.parametrize('weight', [0, 1, 100])
def test_the_raw_store_must_weigh_less_than_originals(weight):
    with pytest.raises(exceptions.BadSetup, match='weight') as caught:
        check(CEPH, judged=raw(weight=weight))

    assert '[raw]' in str(caught.value)
    assert '[ceph]' in str(caught.value)


def test_the_weight_is_compared_with_every_store_of_originals():
    light = store('disk', 'file', weight=-1000)

    with pytest.raises(exceptions.BadSetup, match='store disk'):
        check(CEPH, light)


@pytest.mark.parametrize(
    'other',
    [
        store('ceph', pool='images_raw'),
        store('ceph', pool='images_raw', conf_file='/etc/ceph/other.conf'),
        raw('raw2'),
        raw('raw2', weight=5),
    ],
)
def test_the_pool_is_not_shared_with_another_store(other):
    with pytest.raises(exceptions.BadSetup, match='shares the pool'):
        check(other)


def test_pools_of_one_name_in_two_clusters_are_two_pools():
    other = store('ceph', pool='images_raw', conf_file='/etc/ceph/two.conf')
    asked = []

    def same(one, two):
        asked.append((one, two))
        return False

    check(other, judged=raw(), same=same)

    assert asked == [(raw().settings, other.settings)]


def test_no_cluster_is_asked_where_the_names_of_the_pools_differ():
    def same(one, two):
        raise AssertionError('asked')

    check(CEPH, store('disk', 'file'), raw('r2', pool='r2'), same=same)


def test_a_store_that_is_not_in_ceph_has_no_settings():
    with pytest.raises(exceptions.BadSetup, match='disk is not in RBD'):
        _ = store('disk', 'file').rbd

    assert CEPH.rbd == settings('images')


def test_stores_are_told_by_their_driver():
    found = {s.name: s for s in (CEPH, raw(), raw('raw2'))}

    assert [s.name for s in stores.raw_stores(found)] == ['raw', 'raw2']


def test_one_configuration_file_is_one_cluster():
    """Nobody is asked, so that it works while the cluster is away."""
    absent = '/nonexistent/ceph.conf'

    assert stores.same_cluster(settings('a', absent), settings('b', absent))


def test_clusters_that_cannot_be_told_apart_count_as_one(
    monkeypatch,
):
    def away(_settings):
        raise exceptions.CephUnavailable('away')

    monkeypatch.setattr(ceph, 'fsid', away)

    assert stores.same_cluster(settings('a', '/one'), settings('a', '/two'))


@pytest.mark.parametrize(
    ('one', 'two', 'same'), [('x', 'x', True), ('x', 'y', False)]
)
def test_clusters_are_told_apart_by_their_id(monkeypatch, one, two, same):
    ids = {'/one': one, '/two': two}
    monkeypatch.setattr(ceph, 'fsid', lambda s: ids[s.conf_file])

    found = stores.same_cluster(settings('a', '/one'), settings('a', '/two'))

    assert found is same


def test_the_usual_configuration_is_read(tmp_path):
    found = stores.read(configured.read(tmp_path, reserved=True))

    assert list(found) == ['ceph', 'raw']
    assert found['ceph'] == stores.Store(
        'ceph', 'rbd', 0, ceph.Settings('', None, 'images')
    )
    assert found['raw'] == stores.Store(
        'raw', 'rawrbd', -1000, ceph.Settings('', None, 'images_raw')
    )
    assert found['raw'].is_raw
    assert not found['ceph'].is_raw


def test_every_setting_is_read_from_the_group_of_its_store(tmp_path):
    text = """
        [DEFAULT]
        enabled_backends = a:rbd, b:rawrbd, c:file, d:http
        [a]
        rbd_store_ceph_conf = /etc/ceph/a.conf
        rbd_store_user = alice
        rbd_store_pool = pool-a
        rados_connect_timeout = 7
        [b]
        rbd_store_ceph_conf = /etc/ceph/b.conf
        rbd_store_user = bob
        rbd_store_pool = pool-b
    """

    found = stores.read(configured.read(tmp_path, text))

    assert found['a'].settings == ceph.Settings(
        '/etc/ceph/a.conf', 'alice', 'pool-a', 7
    )
    assert found['b'].settings == ceph.Settings(
        '/etc/ceph/b.conf', 'bob', 'pool-b', -1
    )
    assert found['c'].settings is None
    assert found['d'].settings is None


def test_glance_store_may_add_the_reserved_stores_meanwhile(
    tmp_path, monkeypatch
):
    conf = configured.read(tmp_path)
    read_option = stores.option

    def adding(*args):
        conf.enabled_backends.update(configured.RESERVED)
        return read_option(*args)

    monkeypatch.setattr(stores, 'option', adding)

    assert list(stores.read(conf)) == ['ceph', 'raw']
    assert len(conf.enabled_backends) == 4, 'it is the very dictionary'


def test_no_backends_are_no_stores(tmp_path):
    text = '[DEFAULT]\nenabled_backends =\n'

    assert stores.read(configured.read(tmp_path, text)) == {}


def test_what_all_stores_share_is_read_from_backend_defaults(tmp_path):
    """As glance_store does for its drivers; the command line must too."""
    path = tmp_path / 'glance-api.conf'
    path.write_text(
        '[DEFAULT]\nenabled_backends = ceph:rbd,raw:rawrbd\n'
        '[backend_defaults]\n'
        'rbd_store_ceph_conf = /etc/ceph/shared.conf\n'
        'rbd_store_user = glance\n'
        'rados_connect_timeout = 5\n'
        '[ceph]\nrbd_store_pool = images\n'
        '[raw]\nrbd_store_pool = images_raw\nrados_connect_timeout = 9\n'
    )

    found = stores.read(configuration.load([str(path)]))

    shared = '/etc/ceph/shared.conf'
    assert found['ceph'].settings == ceph.Settings(
        shared, 'glance', 'images', 5
    )
    assert found['raw'].settings == ceph.Settings(
        shared, 'glance', 'images_raw', 9
    )
