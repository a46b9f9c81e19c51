# SPDX-License-Identifier: Apache-2.0
"""A world of contracts, and of unit tests, around a Ceph in memory."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph as package
from glance_rawstore.raw_pool import RawPool
from tests.contract.world import World
from tests.contract.world import Writer
from tests.fakes import ceph
from tests.fakes import rados
from tests.fakes import rbd

RAW_POOL, VOLUMES = 'images_raw', 'volumes'


class FakeWriter(Writer):
    """A client that has an image open and never closes it."""

    def __init__(self, client: rados.Rados, name: str) -> None:
        self._client = client
        self._image = rbd.Image(client.open_ioctx(RAW_POOL), name)
        self._image.write(b'some of it', 0)

    def kill(self) -> None:
        self._client.kill()


class FakeWorld(World):
    """A cluster in memory, with the pools for copies and volumes.

    :ivar settings: how to reach the raw pool
    """

    def __init__(self, stack: contextlib.ExitStack) -> None:
        self._stack = stack
        self._ahead = 0.0
        conf_file = f'/nowhere/{uuid.uuid4()}/ceph.conf'
        self.cluster = ceph.Cluster(
            lambda: time.time() + self._ahead, conf_file
        )
        ceph.CLUSTERS[conf_file] = self.cluster
        stack.callback(ceph.CLUSTERS.pop, conf_file)
        for name in (RAW_POOL, VOLUMES):
            self.cluster.create_pool(name)
        self.cluster.forbidden.add(('blind', VOLUMES))
        self.settings = package.Settings(conf_file, 'glance', RAW_POOL)
        self.pool = self._open('glance')

    def _open(self, user: str) -> RawPool:
        conf_file = self.cluster.conf_file
        return self._stack.enter_context(
            RawPool.open(package.Settings(conf_file, user, RAW_POOL))
        )

    def other_node(self) -> RawPool:
        return self._open('glance')

    def blind_node(self) -> RawPool:
        return self._open('blind')

    def consumer(self, clone_format: int) -> tuple[Any, Any]:
        client = rados.Rados(self.cluster.conf_file, 'cinder')
        client.conf_set('rbd_default_clone_format', str(clone_format))
        return client.open_ioctx(RAW_POOL), client.open_ioctx(VOLUMES)

    def writer(self, image_id: str) -> Writer:
        client = rados.Rados(self.cluster.conf_file, 'glance')
        return FakeWriter(client, f'{image_id}_raw.part')

    def pass_time(self, seconds: float) -> None:
        self._ahead += seconds

    def fill(self) -> None:
        self.cluster.pools[RAW_POOL].full = True

    def make_room(self) -> None:
        self.cluster.pools[RAW_POOL].full = False

    def set_quota(self, size: int) -> None:
        self.cluster.pools[RAW_POOL].quota = size

    def damage(self, rbd_id: str) -> None:
        for image in self.cluster.pools[RAW_POOL].every_image():
            if image.number == rbd_id:
                image.damaged = True

    @contextlib.contextmanager
    def away(self) -> Iterator[RawPool]:
        self.cluster.away = True
        try:
            yield self.pool
        finally:
            self.cluster.away = False
