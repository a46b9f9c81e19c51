# SPDX-License-Identifier: Apache-2.0
"""Connecting to Ceph, and its errors in our words."""

import errno

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from tests.fakes import bindings


@pytest.mark.parametrize(
    ('number', 'expected'),
    [
        (errno.ENOENT, exceptions.NotFound),
        (errno.ENOSPC, exceptions.NoSpace),
        (errno.EDQUOT, exceptions.NoSpace),
        (errno.ETIMEDOUT, exceptions.CephUnavailable),
        (errno.EPERM, exceptions.CephUnavailable),
        (errno.EBUSY, exceptions.CephUnavailable),
        (errno.EEXIST, exceptions.CephUnavailable),
        (errno.EINVAL, exceptions.CephUnavailable),
        (errno.EIO, exceptions.Damaged),
        (errno.ESHUTDOWN, exceptions.Blocklisted),
    ],
)
@pytest.mark.parametrize('library', ['rbd', 'rados'])
@pytest.mark.usefixtures('world')
def test_errors_of_the_bindings_become_ours(library, number, expected):
    make = getattr(bindings, f'{library}_error')
    error = make(number, 'pool images_raw at /etc/ceph/ceph.conf')

    with pytest.raises(expected) as caught, ceph.translated():
        raise error

    assert type(caught.value) is expected
    assert caught.value.__cause__ is error
    assert 'images_raw' not in str(caught.value), 'it may be shown to tenants'
    if expected is exceptions.CephUnavailable:
        assert 'images_raw' in caught.value.in_full, 'operators need it'


@pytest.mark.usefixtures('world')
def test_errors_without_a_number_are_translated_too():
    closed = bindings.RBD_ERRORS['InvalidArgument']('image is closed')

    with pytest.raises(exceptions.CephUnavailable), ceph.translated():
        raise closed


@pytest.mark.usefixtures('world')
def test_errors_of_others_are_left_alone():
    with pytest.raises(ZeroDivisionError), ceph.translated():
        raise ZeroDivisionError


def test_a_pool_is_open_for_as_long_as_the_context_lasts(world, monkeypatch):
    closed = []
    monkeypatch.setattr(
        ceph.rados.Rados, 'shutdown', lambda self: closed.append(self)
    )

    with ceph.connect(world.settings) as (client, ioctx):
        assert ioctx.name == world.settings.pool
        assert closed == []

    assert closed == [client]


def test_a_connection_is_closed_where_the_pool_is_missing(world, monkeypatch):
    closed = []
    monkeypatch.setattr(
        ceph.rados.Rados, 'shutdown', lambda self: closed.append(self)
    )
    settings = ceph.Settings(world.settings.conf_file, None, 'absent')

    with pytest.raises(exceptions.RawStoreError), ceph.connect(settings):
        pass

    assert len(closed) == 1


def test_a_cluster_that_does_not_answer_is_told_as_such(world):
    world.cluster.away = True

    with (
        pytest.raises(exceptions.CephUnavailable),
        ceph.connect(world.settings),
    ):
        pass


@pytest.fixture
def clients(monkeypatch):
    """Those that were made, each with whether it was shut down."""
    made = {}
    init = ceph.rados.Rados.__init__

    def noted(self, *args, **kwargs):
        init(self, *args, **kwargs)
        made[self] = False

    monkeypatch.setattr(ceph.rados.Rados, '__init__', noted)
    monkeypatch.setattr(
        ceph.rados.Rados, 'shutdown', lambda self: made.update({self: True})
    )
    return made


def test_a_client_that_cannot_connect_is_shut_down(world, clients):
    """Librados leaves it its threads and descriptors otherwise."""
    world.cluster.away = True

    with pytest.raises(exceptions.RawStoreError), ceph.connect(world.settings):
        pass
    with pytest.raises(exceptions.RawStoreError):
        ceph.fsid(world.settings)

    assert list(clients.values()) == [True, True]


def test_a_client_that_only_reads_the_configuration_is_shut_down(
    world, clients, monkeypatch
):
    monkeypatch.setattr(ceph.rados.Rados, 'conf_get', lambda *_: 'abc-1')

    ceph.fsid(world.settings)

    assert list(clients.values()) == [True]


def test_a_client_that_cannot_be_set_up_is_shut_down(
    world, clients, monkeypatch
):
    def refuses(_self, name, _value):
        raise bindings.rados_error(errno.EINVAL, name)

    monkeypatch.setattr(ceph.rados.Rados, 'conf_set', refuses)
    settings = ceph.Settings(world.settings.conf_file, None, 'images_raw', 5)

    with (
        pytest.raises(exceptions.CephUnavailable),
        ceph.connect(settings),
    ):
        pass

    assert list(clients.values()) == [True]


@pytest.mark.parametrize(
    ('conf_file', 'user', 'pool', 'named'),
    [
        ('/etc/ceph/none.conf', 'glance', 'images_raw', 'rbd_store_ceph_conf'),
        (None, 'nobody', 'images_raw', 'client.nobody: see rbd_store_user'),
        (None, 'glance', 'images_rwa', 'images_rwa: see rbd_store_pool'),
    ],
)
def test_what_is_missing_to_reach_the_cluster_is_no_copy(
    world, conf_file, user, pool, named
):
    """Librados answers all of these with "not found", as for an object."""
    world.cluster.no_key.add('nobody')
    settings = ceph.Settings(conf_file or world.settings.conf_file, user, pool)

    with (
        pytest.raises(exceptions.CephUnavailable) as caught,
        ceph.connect(settings),
    ):
        pass

    assert named in caught.value.in_full
    assert str(caught.value) == exceptions.CephUnavailable.sentence


@pytest.mark.parametrize(
    ('timeout', 'expected'),
    [(-1, None), (0, '0'), (7, '7')],
)
def test_waiting_is_bounded_when_it_is_configured(world, timeout, expected):
    settings = ceph.Settings(
        world.settings.conf_file, 'glance', 'images_raw', timeout
    )

    with ceph.connect(settings) as (client, _ioctx):
        for name in (
            'rados_osd_op_timeout',
            'rados_mon_op_timeout',
            'client_mount_timeout',
        ):
            assert client.conf_get(name) == expected


@pytest.mark.parametrize(
    ('timeout', 'expected'),
    [
        (-1, (None, None)),
        (0, (None, None)),
        (5, ('2.5', '1.25')),
        (60, ('10.0', '5.0')),
    ],
)
def test_an_osd_that_was_restarted_is_looked_for_in_time(
    world, timeout, expected
):
    """Before a request times out: a client looks for one at no other time."""
    settings = ceph.Settings(
        world.settings.conf_file, 'glance', 'images_raw', timeout
    )

    with ceph.connect(settings) as (client, _ioctx):
        for name, value in zip(
            ('objecter_timeout', 'objecter_tick_interval'),
            expected,
            strict=True,
        ):
            assert client.conf_get(name) == value


def test_the_id_of_a_cluster_is_asked_for(world):
    assert ceph.fsid(world.settings) == world.cluster.fsid


def test_the_id_in_the_configuration_is_taken_without_asking(
    world, monkeypatch
):
    world.cluster.away = True
    monkeypatch.setattr(ceph.rados.Rados, 'conf_get', lambda *_: 'abc-1')

    assert ceph.fsid(world.settings) == 'abc-1'


def test_the_id_that_librados_has_by_default_is_none(world, monkeypatch):
    nil = '00000000-0000-0000-0000-000000000000'
    monkeypatch.setattr(ceph.rados.Rados, 'conf_get', lambda *_: nil)

    assert ceph.fsid(world.settings) == world.cluster.fsid


def test_missing_bindings_say_what_to_install(monkeypatch):
    monkeypatch.setattr(ceph, 'rados', None)
    settings = ceph.Settings('', None, 'images_raw')

    with (
        pytest.raises(exceptions.BadSetup, match='python3-rbd'),
        ceph.connect(settings),
    ):
        pass
    with pytest.raises(exceptions.BadSetup):
        ceph.fsid(settings)


def test_text_that_is_none_is_told_as_damage():
    """The bindings decode names and image-meta."""
    with pytest.raises(exceptions.Damaged), ceph.translated():
        b'\xff'.decode()
