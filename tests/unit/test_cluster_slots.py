# SPDX-License-Identifier: Apache-2.0
"""How many convert at once, in a raw pool in memory."""

import time

import pytest

from glance_rawstore import cluster_slots
from glance_rawstore import exceptions
from tests.contract.cluster_slots import ClusterSlotsContract
from tests.contract.cluster_slots import NoSlot
from tests.contract.cluster_slots import refuse
from tests.contract.cluster_slots import slots


class TestClusterSlots(ClusterSlotsContract):
    """In memory."""


def test_who_waits_while_the_cluster_is_away_goes_on_waiting(world):
    waits = []

    def wait(_seconds):
        world.cluster.away = len(waits) < 2
        waits.append(None)
        if len(waits) == 3:
            held.release()

    held = slots(world.pool, 1).at_once()
    with slots(world.other_node(), 1).slot(wait):
        assert len(waits) == 3


def test_who_is_blocklisted_waits_no_more(world):
    """It will not see when it is its turn."""

    def wait(_seconds):
        assert not waits
        waits.append(None)
        world.cluster.blocklist.add(world.pool.client.address)

    waits = []
    with (
        slots(world.other_node(), 1).slot(refuse),
        pytest.raises(exceptions.Blocklisted),
        slots(world.pool, 1).slot(wait),
    ):
        pass


def test_who_stops_waiting_is_not_counted(world):
    with (
        slots(world.pool, 1).slot(refuse),
        pytest.raises(NoSlot),
        slots(world.pool, 1).slot(refuse),
    ):
        pass

    with slots(world.pool, 1).slot(refuse):
        pass


def test_the_name_of_a_cookie_is_read_from_what_ceph_answers():
    """An answer of 16.2, of one who holds a lock in shares."""
    cookie = b'7-0123456789abcdef-x'
    who = b'\x08' + (4242).to_bytes(8, 'little')
    who += len(cookie).to_bytes(4, 'little') + cookie
    info = bytes(100)
    body = b'\x02\0\0\0'
    for _ in range(2):
        body += b'\x01\x01' + len(who).to_bytes(4, 'little') + who
        body += b'\x01\x01' + len(info).to_bytes(4, 'little') + info
    reply = b'\x01\x01' + len(body).to_bytes(4, 'little') + body

    assert cluster_slots.lease._cookies(reply) == [cookie.decode()] * 2


def test_it_is_written_down_where_the_documentation_says(world):
    """doc/source/data-layout.rst."""
    with slots(world.pool, 1).slot(time.sleep, 'p'):
        (cookie,) = cluster_slots.lease.cookies(
            world.other_node().ioctx,
            'glance_rawstore.conversions',
            'glance_rawstore.running',
        )
    assert cookie.startswith('1-148de9c5a7a44d19-')
