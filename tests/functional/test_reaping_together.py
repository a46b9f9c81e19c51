# SPDX-License-Identifier: Apache-2.0
"""Several processes that remove the same copies at the same moment."""

import contextlib
import multiprocessing
import uuid
from collections.abc import Iterator
from multiprocessing.synchronize import Event

import pytest
import rbd

from glance_rawstore import ceph
from glance_rawstore import inventory
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.raw_pool import RawPool
from tests.cluster import Cluster
from tests.functional import test_raw_pool as contracts
from tests.functional.support import await_true
from tests.waiting import DEADLINE

MIB = 1 << 20
OBJECTS = 200
COPIES = 10
PROCESSES = 6


@pytest.fixture
def settings(cluster: Cluster) -> Iterator[ceph.Settings]:
    """How to reach a raw pool."""
    cluster.create_pool(contracts.RAW)
    caps = contracts.CAPS['contract-node']
    cluster.user('contract-node', {'mon': 'profile rbd', 'osd': caps})
    yield ceph.Settings(str(cluster.conf), 'contract-node', contracts.RAW)
    cluster.empty_pool(contracts.RAW)
    cluster.delete_pool(contracts.RAW)


def reap(settings: ceph.Settings, begin: Event, end: Event) -> None:
    """Remove what is in the trash, again and again."""
    with RawPool.open(settings) as pool:
        begin.wait()
        while not end.is_set():
            for rbd_id in [c.rbd_id for c in inventory.trashed(pool)]:
                pool.purge(rbd_id)


@contextlib.contextmanager
def reapers(settings: ceph.Settings) -> Iterator[Event]:
    """Processes that reap, from when an event is set until the end."""
    new = multiprocessing.get_context('spawn')
    begin, end = new.Event(), new.Event()
    running = [
        new.Process(target=reap, args=(settings, begin, end))
        for _ in range(PROCESSES)
    ]
    for process in running:
        process.start()
    try:
        yield begin
    finally:
        begin.set()
        end.set()
        for process in running:
            process.join(DEADLINE)
            process.kill()
    assert [process.exitcode for process in running] == [0] * PROCESSES


def trash_copy(pool: RawPool) -> None:
    """A copy of many objects, in the trash."""
    image_id = str(uuid.uuid4())
    rbd_id = pool.begin(image_id, OBJECTS * 4 * MIB, 4 * MIB)
    with pool.image(raw_copy.part_name(image_id)) as image:
        for number in range(OBJECTS):
            image.write(b'x', number * 4 * MIB)
    pool.commit(image_id, rbd_id, {})
    rbd.RBD().trash_move(pool.ioctx, raw_copy.name(image_id), 0)


@pytest.mark.endurance
def test_nobody_dies_who_reaps_what_another_one_reaps(
    settings: ceph.Settings,
) -> None:
    """A process was aborted by librbd that lost its lock meanwhile."""
    with RawPool.open(settings) as pool:
        for _ in range(COPIES):
            trash_copy(pool)
        with reapers(settings) as begin:
            begin.set()
            await_true(
                lambda: not list(rbd.RBD().trash_list(pool.ioctx)),
                'the trash is empty',
            )
        kept = {'rbd_directory', 'rbd_info', 'rbd_trash', 'rbd_children'}
        await_true(
            lambda: {o.key for o in pool.ioctx.list_objects()} <= kept,
            'no object is left',
        )
