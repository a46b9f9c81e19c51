# SPDX-License-Identifier: Apache-2.0
"""The lease, on a raw pool in memory."""

import errno
import threading

from glance_rawstore.lease import Lease
from tests.contract.lease import SHORT
from tests.contract.lease import LeaseContract
from tests.contract.lease import held
from tests.fakes import bindings
from tests.waiting import eventually


class TestLease(LeaseContract):
    """In memory."""


class Counting:
    """An Ioctx that counts the requests for a lock, and may fail them."""

    def __init__(self, ioctx):
        self._ioctx = ioctx
        self.requests = 0
        self.error = None

    def __getattr__(self, name):
        return getattr(self._ioctx, name)

    def lock_exclusive(self, *args):
        self.requests += 1
        if self.error:
            raise self.error
        return self._ioctx.lock_exclusive(*args)


def test_looking_for_a_lease_makes_no_object(world):
    _, rbd_id = world.begin()
    (name,) = world.names()
    with held(world.pool, rbd_id, SHORT) as lease:
        world.pool.delete(name.split('_')[0])
        eventually(lambda: lease.lost, 'the lease is lost')

    assert world.cluster.pools[world.pool.name].strays == set()


def test_it_is_renewed_three_times_in_its_span(world):
    _, rbd_id = world.begin()
    ioctx = Counting(world.pool.ioctx)
    lease = Lease(ioctx, rbd_id, 0.3)

    lease.acquire()
    eventually(lambda: ioctx.requests >= 4, 'three renewals')
    lease.release()

    assert not lease.lost


def test_a_cluster_that_is_away_is_no_reason_to_give_up(world, caplog):
    """Who would take it over needs that cluster, too."""
    _, rbd_id = world.begin()
    ioctx = Counting(world.pool.ioctx)
    lease = Lease(ioctx, rbd_id, 0.3)
    lease.acquire()
    ioctx.error = bindings.rados_error(errno.ETIMEDOUT, 'no answer')
    before = ioctx.requests
    eventually(lambda: ioctx.requests >= before + 2, 'two renewals')
    assert not lease.lost

    ioctx.error = None
    before = ioctx.requests
    eventually(lambda: ioctx.requests > before, 'another renewal')
    lease.release()

    assert not lease.lost
    assert 'was not renewed' in caplog.text


def test_that_of_a_blocklisted_client_is_lost(world, caplog):
    _, rbd_id = world.begin()
    with held(world.pool, rbd_id, SHORT) as lease:
        world.cluster.blocklist.add(world.pool.client.address)
        eventually(lambda: lease.lost, 'it is lost')

        assert not lease.confirm()
    assert 'ceph osd blocklist ls' in caplog.text


def test_who_took_it_over_keeps_it(world):
    _, rbd_id = world.begin()
    ioctx = Counting(world.pool.ioctx)
    lease = Lease(ioctx, rbd_id, SHORT)
    lease.acquire()
    ioctx.error = bindings.rados_error(errno.ETIMEDOUT, 'no answer')
    world.pass_time(SHORT + 0.1)
    with held(world.other_node(), rbd_id) as other:
        ioctx.error = None
        eventually(lambda: lease.lost, 'the first one notices')
        lease.release()

        assert not other.lost


def test_no_thread_is_left(world):
    _, rbd_id = world.begin()
    before = {*threading.enumerate()}

    with held(world.pool, rbd_id):
        assert len({*threading.enumerate()} - before) == 1

    assert {*threading.enumerate()} <= before
