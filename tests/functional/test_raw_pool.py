# SPDX-License-Identifier: Apache-2.0
"""What holds for the raw pool in memory holds for one in Ceph.

The users have the capabilities that the manual names, each on two pools that
are as new for every test.
"""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import rados

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.raw_pool import RawPool
from tests.cluster import Cluster
from tests.contract.attempts import AttemptsContract
from tests.contract.budget import AdmissionContract
from tests.contract.budget import BudgetContract
from tests.contract.budget import CapacityContract
from tests.contract.clones import CloneContract
from tests.contract.clones import consumer
from tests.contract.cluster_slots import ClusterSlotsContract
from tests.contract.directory import DirectoryContract
from tests.contract.discard import DiscardContract
from tests.contract.downloads import DownloadsContract
from tests.contract.evicted import DeleteOneContract
from tests.contract.evicted import EvictedContract
from tests.contract.handover import HandoverContract
from tests.contract.inventory import InventoryContract
from tests.contract.lease import LeaseContract
from tests.contract.mishaps import AwayContract
from tests.contract.mishaps import FullPoolContract
from tests.contract.mishaps import KilledWriterContract
from tests.contract.omap import TableContract
from tests.contract.raw_pool import RawPoolContract
from tests.contract.tally import TallyContract
from tests.contract.uses import UsesContract
from tests.contract.world import World
from tests.contract.world import Writer
from tests.waiting import eventually
from tests.waiting import pause

__all__ = ['consumer']

RAW, VOLUMES = 'contract_raw', 'contract_volumes'
CAPS = {
    # a node of Glance's, which may see what clones there are
    'contract-node': f'profile rbd pool={RAW}, '
    f'profile rbd-read-only pool={VOLUMES}',
    # one which may not
    'contract-blind': f'profile rbd pool={RAW}',
    # Nova's and Cinder's
    'contract-consumer': f'profile rbd pool={VOLUMES}, '
    f'profile rbd-read-only pool={RAW}',
}

# Writes to an image and keeps it open: conf file, user, pool, image.
WRITER = """
import sys
import rados, rbd
conf, user, pool, name = sys.argv[1:]
client = rados.Rados(conffile=conf, rados_id=user)
client.connect()
image = rbd.Image(client.open_ioctx(pool), name)
image.write(b'some of it', 0)
print('open', flush=True)
sys.stdin.read()
"""


class RealWriter(Writer):
    def __init__(self, settings: ceph.Settings, name: str) -> None:
        where = (settings.conf_file, settings.user or '', settings.pool)
        self._process = subprocess.Popen(
            [sys.executable, '-c', WRITER, *where, name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b'open\n'

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


class RealWorld(World):
    """Two pools of a running cluster."""

    def __init__(self, cluster: Cluster, stack: contextlib.ExitStack) -> None:
        self._cluster = cluster
        self._stack = stack
        self.pool = self._open('contract-node')

    def _settings(self, user: str, timeout: int = -1) -> ceph.Settings:
        return ceph.Settings(str(self._cluster.conf), user, RAW, timeout)

    def _open(self, user: str) -> RawPool:
        settings = self._settings(user)
        return self._stack.enter_context(RawPool.open(settings))

    def other_node(self) -> RawPool:
        return self._open('contract-node')

    def blind_node(self) -> RawPool:
        return self._open('contract-blind')

    def consumer(self, clone_format: int) -> tuple[Any, Any]:
        client = self._cluster.connect('contract-consumer')
        self._stack.callback(client.shutdown)
        client.conf_set('rbd_default_clone_format', str(clone_format))
        ioctxs = []
        for name in (RAW, VOLUMES):
            ioctxs.append(client.open_ioctx(name))
            self._stack.callback(ioctxs[-1].close)
        return ioctxs[0], ioctxs[1]

    def writer(self, image_id: str) -> Writer:
        found = RealWriter(
            self._settings('contract-node'), raw_copy.part_name(image_id)
        )
        self._stack.callback(found.kill)
        return found

    def pass_time(self, seconds: float) -> None:
        pause(seconds)

    def fill(self) -> None:
        self._cluster.set_quota(RAW, 1)
        eventually(self._is_full, 'the pool is full')

    def make_room(self) -> None:
        self._cluster.set_quota(RAW, 0)
        eventually(lambda: not self._is_full(), 'the pool has room')

    def set_quota(self, size: int) -> None:
        self._cluster.set_quota(RAW, size)

    def _is_full(self) -> bool:
        try:
            self.pool.ioctx.append('contract_probe', b'?')
        except rados.Error:
            return True
        return False

    def damage(self, rbd_id: str) -> None:
        with rados.WriteOpCtx() as operation:
            self.pool.ioctx.set_omap(operation, ('features',), (b'?',))
            self.pool.ioctx.operate_write_op(operation, f'rbd_header.{rbd_id}')

    @contextlib.contextmanager
    def away(self) -> Iterator[RawPool]:
        with contextlib.ExitStack() as stack:
            pool = eventually(
                lambda: self._impatient(stack), 'it connects within a second'
            )
            self._cluster.pause_osd()
            try:
                yield pool
            finally:
                self._cluster.resume_osd()

    def _impatient(self, stack: contextlib.ExitStack) -> RawPool | None:
        """A pool that waits for a second; None if that was too little."""
        with contextlib.suppress(exceptions.CephUnavailable):
            settings = self._settings('contract-node', 1)
            return stack.enter_context(RawPool.open(settings))
        return None


@pytest.fixture(scope='module')
def pools(cluster: Cluster) -> Iterator[Cluster]:
    for name in (RAW, VOLUMES):
        cluster.create_pool(name)
    for user, caps in CAPS.items():
        cluster.user(user, {'mon': 'profile rbd', 'osd': caps})
    yield cluster
    for name in (RAW, VOLUMES):
        cluster.delete_pool(name)


@pytest.fixture
def world(pools: Cluster) -> Iterator[RealWorld]:
    """Both pools as new."""
    with contextlib.ExitStack() as stack:
        yield RealWorld(pools, stack)
    pools.empty_pool(RAW, VOLUMES)


class TestRawPool(RawPoolContract):
    """In Ceph."""


class TestDirectory(DirectoryContract):
    """In Ceph."""


class TestDiscard(DiscardContract):
    """In Ceph."""


class TestClones(CloneContract):
    """In Ceph."""


class TestInventory(InventoryContract):
    """In Ceph."""


class TestLease(LeaseContract):
    """In Ceph."""


class TestAttempts(AttemptsContract):
    """In Ceph."""


class TestBudget(BudgetContract):
    """In Ceph."""


class TestCapacity(CapacityContract):
    """In Ceph."""


class TestAdmission(AdmissionContract):
    """In Ceph."""


class TestEvicted(EvictedContract):
    """In Ceph."""


class TestDeleteOne(DeleteOneContract):
    """In Ceph."""


class TestHandover(HandoverContract):
    """In Ceph."""


class TestClusterSlots(ClusterSlotsContract):
    """In Ceph."""


class TestUses(UsesContract):
    """In Ceph."""


class TestDownloads(DownloadsContract):
    """In Ceph."""


class TestTable(TableContract):
    """In Ceph."""


class TestTally(TallyContract):
    """In Ceph."""


class TestKilledWriter(KilledWriterContract):
    """In Ceph."""


class TestFullPool(FullPoolContract):
    """In Ceph."""


class TestAway(AwayContract):
    """In Ceph."""
