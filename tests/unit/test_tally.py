# SPDX-License-Identifier: Apache-2.0
"""What is counted, in a raw pool in memory."""

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import tally
from glance_rawstore.lifecycle import tally as counts
from tests.contract.tally import TallyContract


class TestTally(TallyContract):
    """In memory."""


def test_nothing_that_happened_makes_no_object(world):
    tally.add(world.pool.ioctx, counts.ended(exceptions.CopyExists()))

    assert tally.OBJECT not in world.cluster.pools['images_raw'].strays


def test_a_cluster_that_is_away_fails_nothing(world, caplog):
    with world.away():
        tally.add(world.pool.ioctx, counts.succeeded(1.0, 1))

    assert 'not counted' in caplog.text
    assert tally.read(world.pool.ioctx).written == 0


def test_what_cannot_be_read_is_left_out(world, caplog):
    tally.add(world.pool.ioctx, counts.succeeded(1.0, 5))
    ceph.write_omap(world.pool.ioctx, tally.OBJECT, 'bytes', b'many')

    found = tally.read(world.pool.ioctx)

    assert (found.seconds, found.written) == (1.0, 0)
    assert 'cannot be read' in caplog.text
