# SPDX-License-Identifier: Apache-2.0
"""Who may make a copy in any raw pool."""

import contextlib

import pytest

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import lease as module
from glance_rawstore.lease import Lease
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import Late
from tests.waiting import eventually
from tests.waiting import pause

#: Of one that runs out, of one that is renewed meanwhile, however busy the
#: machine, and of one that does not matter; in seconds, and whole ones, as
#: Ceph counts no other.
SHORT, RENEWED, LONG = 1, 4, 60


@contextlib.contextmanager
def held(pool, rbd_id, duration=LONG):
    lease = Lease(pool.ioctx, rbd_id, duration)
    lease.acquire()
    try:
        yield lease
    finally:
        lease.release()


def is_free(pool, rbd_id):
    try:
        with held(pool, rbd_id):
            return True
    except exceptions.LeaseHeld:
        return False


def dies(pool, rbd_id, duration=LONG):
    """A worker takes the lease, or renews it, and is heard of no more.

    Key and name are those of doc/source/data-layout.rst.
    """
    pool.ioctx.lock_exclusive(
        f'rbd_header.{rbd_id}', 'glance_rawstore', 'x', '', duration, 1
    )


class LeaseContract:
    """One worker has it; a dead one loses it."""

    def test_one_worker_has_it(self, world):
        _, rbd_id = world.begin()

        with (
            held(world.pool, rbd_id) as lease,
            pytest.raises(exceptions.LeaseHeld),
            held(world.other_node(), rbd_id),
        ):
            pass

        assert not lease.lost

    def test_one_worker_of_a_process_has_it(self, world):
        """Threads share the connection."""
        _, rbd_id = world.begin()

        with (
            held(world.pool, rbd_id),
            pytest.raises(exceptions.LeaseHeld),
            held(world.pool, rbd_id),
        ):
            pass

    def test_it_can_be_had_after_it_was_released(self, world):
        _, rbd_id = world.begin()

        for node in (world.pool, world.other_node(), world.pool):
            with held(node, rbd_id):
                pass

    def test_it_is_released_twice_without_complaint(self, world):
        _, rbd_id = world.begin()
        with held(world.pool, rbd_id) as lease:
            lease.release()

        with held(world.other_node(), rbd_id):
            lease.release()
            with (
                pytest.raises(exceptions.LeaseHeld),
                held(world.pool, rbd_id),
            ):
                pass

    def test_nobody_has_it_of_what_is_gone(self, world):
        _, rbd_id = world.begin()
        (name,) = world.names()
        world.pool.delete(name.split('_')[0])

        with pytest.raises(exceptions.NotFound), held(world.pool, rbd_id):
            pass

        # A request for a lock makes an object, were it not for the look.
        with pytest.raises(exceptions.NotFound), held(world.pool, rbd_id):
            pass

    def test_an_image_that_goes_meanwhile_leaves_nothing(self, world):
        """Between the look and the request, which makes an object then."""
        image_id, rbd_id = world.begin()

        with pytest.raises(exceptions.NotFound):
            Lease(Late(world, image_id), rbd_id, LONG).acquire()

        with pytest.raises(exceptions.NotFound), ceph.translated():
            world.pool.ioctx.stat(f'rbd_header.{rbd_id}')

    def test_it_follows_the_copy_through_its_commit(self, world):
        image_id, rbd_id = world.begin()
        with held(world.pool, rbd_id) as lease:
            world.pool.commit(image_id, world.part_id(image_id), {})
            with (
                pytest.raises(exceptions.LeaseHeld),
                held(world.other_node(), rbd_id),
            ):
                pass
            assert not lease.lost

        assert world.pool.status(image_id) is Status.ACTIVE

    def test_a_copy_is_deleted_in_spite_of_it(self, world):
        image_id, rbd_id = world.begin()

        with held(world.pool, rbd_id, SHORT) as lease:
            assert world.other_node().delete(image_id) is True
            eventually(lambda: lease.lost, 'the lease is lost')

        assert world.names() == world.trash() == []

    def test_a_dead_worker_loses_it(self, world):
        _, rbd_id = world.begin()
        worker = world.other_node()
        dies(worker, rbd_id)
        with pytest.raises(exceptions.LeaseHeld), held(world.pool, rbd_id):
            pass

        dies(worker, rbd_id, SHORT)
        world.pass_time(SHORT + 0.01)

        # 16.2 was seen to take up to a second more
        eventually(lambda: is_free(world.pool, rbd_id), 'it has run out')

    def test_a_living_worker_keeps_it(self, world):
        _, rbd_id = world.begin()
        with held(world.pool, rbd_id, RENEWED) as lease:
            for _ in range(3):
                pause(RENEWED / 2)
                with (
                    pytest.raises(exceptions.LeaseHeld),
                    held(world.other_node(), rbd_id),
                ):
                    pass
            assert not lease.lost

    def test_everybody_can_see_whether_a_worker_has_it(self, world):
        _, rbd_id = world.begin()
        ioctx = world.other_node().ioctx

        assert not module.held(ioctx, rbd_id)
        with held(world.pool, rbd_id):
            assert module.held(ioctx, rbd_id)
        assert not module.held(ioctx, rbd_id)

    def test_one_that_ran_out_is_not_seen(self, world):
        _, rbd_id = world.begin()
        dies(world.pool, rbd_id)
        assert module.held(world.pool.ioctx, rbd_id)

        dies(world.pool, rbd_id, SHORT)
        world.pass_time(SHORT + 0.01)

        eventually(
            lambda: not module.held(world.pool.ioctx, rbd_id), 'it ran out'
        )

    def test_looking_makes_nothing(self, world):
        assert not module.held(world.pool.ioctx, '123456789abc')

        with pytest.raises(exceptions.NotFound), ceph.translated():
            world.pool.ioctx.stat('rbd_header.123456789abc')
