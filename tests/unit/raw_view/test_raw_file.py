# SPDX-License-Identifier: Apache-2.0
"""The bytes of a raw copy on their way to a client."""

import errno
import gc

import pytest
import webob

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.raw_view import raw_file
from glance_rawstore.raw_view.raw_file import RawFile
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.fakes import bindings

WHOLE = DATA.ljust(SIZE, b'\0')


@pytest.fixture
def copied(world):
    return world.copy()[0]


@pytest.fixture
def opened(world, copied):
    """A copy that is open."""
    return RawFile.open(world.settings, copied)


@pytest.fixture
def connections(world, monkeypatch):
    """How many connections to Ceph there are."""
    gc.collect()  # those of other tests
    found = [0]
    connect, shutdown = ceph.rados.Rados.connect, ceph.rados.Rados.shutdown

    def connecting(client):
        connect(client)
        found[0] += 1

    def closing(client):
        shutdown(client)
        found[0] -= 1

    monkeypatch.setattr(ceph.rados.Rados, 'connect', connecting)
    monkeypatch.setattr(ceph.rados.Rados, 'shutdown', closing)
    return found


def test_the_bytes_are_those_of_the_copy(opened):
    assert opened.size == SIZE
    assert b''.join(opened) == WHOLE


def test_they_come_in_pieces_that_fit_the_end(opened, monkeypatch):
    monkeypatch.setattr(raw_file, '_CHUNK', SIZE // 4 + 1)

    pieces = list(opened)

    assert [len(piece) for piece in pieces] == [SIZE // 4 + 1] * 3 + [
        SIZE // 4 - 3
    ]
    assert b''.join(pieces) == WHOLE


@pytest.mark.parametrize(
    ('start', 'stop', 'expected'),
    [
        (0, 10, WHOLE[:10]),
        (15, 16, WHOLE[15:16]),
        (SIZE - 4, None, b'\0' * 4),
        (SIZE - 4, SIZE + 100, b'\0' * 4),
        (20_990, 21_010, WHOLE[20_990:21_010]),
        (5, 5, b''),
    ],
)
def test_a_part_is_that_part(opened, start, stop, expected):
    part = opened.app_iter_range(start, stop)

    assert part.size == len(expected)
    assert b''.join(part) == expected


def test_the_snapshot_is_read_and_not_what_came_after(world, copied):
    with world.pool.image(f'{copied}_raw') as image:
        image.write(b'scribbled', 0)

    assert b''.join(RawFile.open(world.settings, copied)) == WHOLE


def test_a_copy_that_is_not_there_is_told_as_such(world, connections):
    with pytest.raises(exceptions.NotFound):
        RawFile.open(world.settings, 'absent')

    assert connections == [0]


def test_a_copy_that_is_not_committed_is_not_read(world, connections):
    image_id, _ = world.begin()

    with pytest.raises(exceptions.NotFound):
        RawFile.open(world.settings, image_id)

    assert connections == [0]


def test_a_copy_without_its_snapshot_is_not_read(world, copied, connections):
    with world.pool.image(f'{copied}_raw') as image:
        image.unprotect_snap('snap')
        image.remove_snap('snap')

    with pytest.raises(exceptions.NotFound):
        RawFile.open(world.settings, copied)

    assert connections == [0]


def test_ceph_away_is_told_as_such(world, copied):
    with world.away(), pytest.raises(exceptions.CephUnavailable):
        RawFile.open(world.settings, copied)


def test_an_error_while_it_is_read_is_ours(world, opened):
    def lost():
        raise bindings.rbd_error(errno.ETIMEDOUT, 'no answer')

    world.cluster.on('read', before=lost)

    with pytest.raises(exceptions.CephUnavailable):
        next(iter(opened))


def serve(world, copied, **headers):
    """Start an answer as a server does: status, headers and what is sent."""
    file = RawFile.open(world.settings, copied)
    request = webob.Request.blank('/', headers=headers)
    started = []
    sent = raw_file.response(file)(
        request.environ, lambda status, found, *_: started.append(status)
    )
    return started[0], sent


@pytest.mark.parametrize('headers', [{}, {'Range': 'bytes=10-99999999'}])
def test_the_copy_is_closed_when_the_client_goes_away(
    world, copied, connections, headers
):
    _, sent = serve(world, copied, **headers)
    next(iter(sent))
    assert connections == [1]

    sent.close()

    assert connections == [0]


def test_the_copy_is_closed_when_a_range_is_refused(
    world, copied, connections
):
    status, _ = serve(world, copied, Range=f'bytes={SIZE}-')

    assert status.startswith('416')
    assert connections == [0]


def test_closing_twice_does_no_harm(opened, connections):
    opened.close()
    opened.close()
