# SPDX-License-Identifier: Apache-2.0
"""Fifty servers and twenty volumes at once, of one image.

Each of them has the bytes of the guest, and no request fails, whatever becomes
of the copy. What it took is printed (-rP).
"""

from __future__ import annotations

import contextlib
import statistics
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
import rbd

from tests.cloud import Cloud
from tests.cluster import Cluster
from tests.consumers import configuration
from tests.consumers.disks import Disk
from tests.consumers.disks import raw_copy
from tests.consumers.process import CINDER
from tests.consumers.process import Consumer
from tests.functional import agents
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.callers import Caller
from tests.functional.support import await_true

pytestmark = pytest.mark.endurance

SERVERS, VOLUMES = 50, 20
#: Each of which makes as many of the volumes.
CINDERS = 5


class Stampede:
    """All of them, begun at once: by one nova-compute, and some Cinders.

    Cinder's downloads are green threads, of which one process of ours has but
    one, so each makes its volumes in turn.

    :ivar disks: paths of the disks that were made
    """

    def __init__(
        self, nova: Consumer, cinders: list[Consumer], user: dict[str, str]
    ) -> None:
        self._nova = nova
        self._cinders = cinders
        self._user = user
        self.disks: list[str] = []

    def run(
        self, image_id: str, meanwhile: Callable[[], None] = lambda: None
    ) -> str:
        """Have them come; what it took, in words.

        :param meanwhile: called when the first of them have been answered
        :raises ExceptionGroup: a server at least was given no disk
        :raises ConsumerError: a volume was not made
        """
        call = {'user': self._user, 'image_id': image_id}
        servers = [
            {**call, 'server_id': str(uuid.uuid4())} for _ in range(SERVERS)
        ]
        began = time.perf_counter()
        with futures.ThreadPoolExecutor(1 + CINDERS) as pool:
            booting = pool.submit(self._nova.call_at_once, 'boot', servers)
            making = [
                pool.submit(_in_turn, cinder, call) for cinder in self._cinders
            ]
            await_true(lambda: len(self._nova.answers) >= 5, 'answers')
            meanwhile()
        took = time.perf_counter() - began
        booted = booting.result()
        made = [volume for found in making for volume in found.result()]
        self.disks = [f'vms/{name}' for name, _ in booted]
        self.disks += [f'volumes/{name}' for name, _ in made]
        return (
            f'all after {took:.1f} s; a server {_spread(booted)}; '
            f'a volume {_spread(made)}'
        )


def _in_turn(
    cinder: Consumer, call: dict[str, Any]
) -> list[tuple[str, float]]:
    """Names of volumes, and the seconds that each took."""
    found = []
    for _ in range(VOLUMES // CINDERS):
        began = time.perf_counter()
        name = cinder.call('create', **call)
        found.append((name, time.perf_counter() - began))
    return found


def _spread(found: list[tuple[str, float]]) -> str:
    seconds = [taken for _, taken in found]
    return f'{statistics.median(seconds):.1f} s, {max(seconds):.1f} at most'


@pytest.fixture(scope='module')
def cinders(
    running_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[Consumer]]:
    """Several Cinders, each with a database of its own."""
    with contextlib.ExitStack() as stack:
        found = []
        for _ in range(CINDERS):
            directory = tmp_path_factory.mktemp('cinder')
            conf = configuration.cinder(running_cloud, directory)
            cinder = Consumer(CINDER, conf, running_cloud.port)
            found.append(stack.enter_context(cinder))
        yield found


@pytest.fixture
def stampede(
    nova: Consumer, cinders: list[Consumer], user: dict[str, str]
) -> Stampede:
    nova.call('forget_images')
    return Stampede(nova, cinders, user)


@pytest.fixture
def check(
    cluster: Cluster, disk: Callable[[str], Disk], guest_image: Path
) -> Callable[[list[str]], Counter[str | None]]:
    """Looks at every disk; how many are clones of what."""

    def look(paths: list[str]) -> Counter[str | None]:
        parents = dict(zip(paths, _parents(cluster, paths), strict=True))
        for path, parent in parents.items():
            # what clones have for bytes is told by other tests
            assert parent or disk(path).holds(guest_image)
        return Counter(parents.values())

    return look


def _parents(cluster: Cluster, paths: list[str]) -> Iterator[str | None]:
    """What each disk is a clone of, as pool/name@snapshot."""
    client = cluster.connect()
    try:
        for path in paths:
            pool, name = path.split('/')
            with (
                client.open_ioctx(pool) as ioctx,
                rbd.Image(ioctx, name, read_only=True) as image,
            ):
                try:
                    yield '{}/{}@{}'.format(*image.parent_info())
                except rbd.ImageNotFound:
                    yield None
    finally:
        client.shutdown()


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    """Where the agent counts its conversions."""
    return tmp_path / 'node'


@pytest.fixture
def agent(cloud: Cloud, tmp_path: Path, scratch: Path) -> Iterator[Agent]:
    """An agent that looks for work seldom, but listens."""
    with (
        agents.configured(
            cloud, tmp_path, scratch.name, reconcile_interval=3600
        ) as conf,
        Agent(cloud, tmp_path, conf) as running,
    ):
        yield running


def status(cloud: Cloud, image_id: str) -> str | None:
    return Caller(cloud).image(image_id).get('raw_cache_status')


def test_all_are_clones_of_an_active_copy(stampede, copied, check):
    told = stampede.run(copied)

    parents = check(stampede.disks)
    print(f'active: {told}; {dict(parents)}')
    assert parents == {raw_copy(copied): SERVERS + VOLUMES}


def test_none_fails_while_the_copy_is_pending(
    stampede, cloud, alice, guest_image, check
):
    with holding.no_slots(cloud):
        image_id = alice.import_file(guest_image, raw_cache='true')
        await_true(lambda: alice.copy_task(image_id), 'a task')
        assert status(cloud, image_id) == 'pending'

        told = stampede.run(image_id)

    parents = check(stampede.disks)
    print(f'pending: {told}; {dict(parents)}')
    assert parents == {None: SERVERS + VOLUMES}
    assert alice.await_copy_task(image_id)['status'] == 'success'


def test_none_fails_while_the_copy_becomes_active(
    stampede, cloud, alice, guest_image, check
):
    """Who has begun to download goes on being shown the original."""
    with contextlib.ExitStack() as held:
        held.enter_context(holding.no_slots(cloud))
        image_id = alice.import_file(guest_image, raw_cache='true')
        await_true(lambda: alice.copy_task(image_id), 'a task')

        told = stampede.run(image_id, meanwhile=held.close)

    parents = check(stampede.disks)
    print(f'becoming active: {told}; {dict(parents)}')
    assert set(parents) <= {None, raw_copy(image_id)}
    assert sum(parents.values()) == SERVERS + VOLUMES
    assert alice.await_copy_task(image_id)['status'] == 'success'


def test_none_fails_while_the_copy_is_evicted_and_one_is_made_for_all(
    stampede, agent, scratch, cloud, alice, guest_image, check
):
    image_id = alice.make_copy(guest_image)
    assert agents.run(cloud, 'evict', '--yes', image_id).returncode == 0
    assert status(cloud, image_id) == 'evicted'

    with holding.no_slots(cloud, directory=scratch):
        told = stampede.run(image_id)
        assert status(cloud, image_id) == 'evicted'

    parents = check(stampede.disks)
    print(f'evicted: {told}; {dict(parents)}')
    assert parents == {None: SERVERS + VOLUMES}
    await_true(lambda: status(cloud, image_id) == 'active', 'a copy')
    made = agent.log().count(f'Image {image_id}: making its raw copy')
    assert made == 1
