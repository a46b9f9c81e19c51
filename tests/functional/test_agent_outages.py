# SPDX-License-Identifier: Apache-2.0
"""Ceph, or Glance's database, is away while an agent makes copies.

It recovers by itself, or fails clearly and tries again; and nothing is left.
"""

import contextlib
import dataclasses
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import full
from tests.waiting import pause

QUICK = {
    'reconcile_interval': 1,
    'reap_interval': 2,
    'retry_delay': 2,
    'retry_limit': 20,
    'lease_duration': 6,
    'max_conversions': 1,
}
#: As operators set them who do not want to wait for Ceph for ever; in seconds.
TIMEOUTS = {'raw': {'rados_connect_timeout': 5}}
#: A database that is not waited for.
IMPATIENT = 'sqlite:///{}/glance.db?timeout=1'

#: Suffixes of what is put into a scratch directory here.
OURS = ('.conf', '.log')

Outage = Callable[[Cloud], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def osd_frozen(cloud: Cloud) -> Iterator[None]:
    """Ceph takes requests and answers none."""
    cloud.cluster.pause_osd()
    try:
        yield
    finally:
        cloud.cluster.resume_osd()


@contextlib.contextmanager
def osd_dead(cloud: Cloud) -> Iterator[None]:
    """Ceph takes no requests."""
    cloud.cluster.kill_osd()
    try:
        yield
    finally:
        cloud.cluster.restart_osd()


@contextlib.contextmanager
def mon_frozen(cloud: Cloud) -> Iterator[None]:
    """Nobody can connect to Ceph."""
    cloud.cluster.pause_mon()
    try:
        yield
    finally:
        cloud.cluster.resume_mon()


@contextlib.contextmanager
def database_locked(cloud: Cloud) -> Iterator[None]:
    """Whoever reads or writes waits, as long as he will."""
    path = cloud.directory / 'glance.db'
    holder = sqlite3.connect(path, timeout=60, isolation_level=None)
    holder.execute('BEGIN EXCLUSIVE')
    try:
        yield
    finally:
        holder.close()


@contextlib.contextmanager
def database_gone(cloud: Cloud) -> Iterator[None]:
    """Nobody can connect, and who is connected cannot write."""
    path = cloud.directory / 'glance.db'
    away = path.with_suffix('.away')
    path.rename(away)
    path.mkdir()
    try:
        yield
    finally:
        path.rmdir()
        away.rename(path)


@dataclasses.dataclass
class Node:
    """A node with an agent, and what it works on."""

    cloud: Cloud
    agent: Agent
    scratch: Path

    def __post_init__(self) -> None:
        self.tenant = Tenant(self.cloud)
        self.pool = Pool(self.cloud)

    def wish(self, image: Path) -> str:
        """An image that wishes for a copy, imported without one."""
        image_id = self.tenant.import_file(image)
        self.tenant.images.update(image_id, raw_cache='true')
        return image_id

    def converting(self) -> list[psutil.Process]:
        """Its qemu-img, once that has written something."""
        with raw_pool.RawPool.open(self.pool.settings) as pool:
            parts = [n for n in self.pool.names() if n.endswith('.part')]
            ids = [pool.rbd_id(name) for name in parts]
        if any(self.pool.objects(f'rbd_data.{found}.') for found in ids):
            return holding.among(self.agent.family())
        return []

    def settled(self, image_id: str) -> bool:
        """Whether there is a copy that says so, and nothing else goes on."""
        row = self.tenant.locations(image_id).get('raw')
        return (
            row is not None
            and row['metadata']['status'] == 'active'
            and not self.open_tasks(image_id)
        )

    def open_tasks(self, image_id: str) -> list[str]:
        """Statuses of the image's tasks that have not ended."""
        found = [task['status'] for task in self.tenant.tasks(image_id)]
        return [x for x in found if x in ('pending', 'processing')]

    def await_recovered(self, *wishes: tuple[str, Path]) -> None:
        """Wait until all have their copies; assert that nothing is left."""
        for image_id, _ in wishes:
            await_true(
                lambda i=image_id: self.settled(i), f'{image_id} is settled'
            )
        expected = sorted(raw_copy.name(image_id) for image_id, _ in wishes)
        await_true(
            lambda: sorted(self.pool.names()) == expected,
            'nothing but the copies is in the pool',
        )
        await_true(
            lambda: not agents.known_attempts(self.pool),
            'no attempt is remembered',
        )
        for image_id, source in wishes:
            self.pool.assert_identical(image_id, source)
            self._await_free(image_id)
        await_true(lambda: not self._spooled(), 'no file has anything in it')

    def _await_free(self, image_id: str) -> None:
        with (
            raw_pool.RawPool.open(self.pool.settings) as pool,
            pool.image(raw_copy.name(image_id)) as image,
        ):
            await_true(
                lambda: (
                    not lease.held(pool.ioctx, str(image.id()))
                    and list(image.list_lockers() or []) == []
                ),
                'nobody holds it',
            )

    def _spooled(self) -> list[Path]:
        """Files with something in them, but for configuration and log."""
        found = []
        for path in self.scratch.iterdir():
            with contextlib.suppress(FileNotFoundError):  # gone meanwhile
                if path.stat().st_size and path.suffix not in OURS:
                    found.append(path)
        return found


@contextlib.contextmanager
def running(
    cloud: Cloud,
    directory: Path,
    others: dict[str, dict[str, object]] | None = None,
    name: str = 'node',
) -> Iterator[Node]:
    """A node with a running agent."""
    with (
        agents.configured(cloud, directory, name, others, **QUICK) as conf,
        Agent(cloud, conf.parent, conf) as agent,
    ):
        yield Node(cloud, agent, conf.parent)


def survives(
    node: Node, outage: Outage, seconds: float, big: Path, small: Path
) -> None:
    """One copy is half written and another is waited for meanwhile."""
    first = node.wish(big)
    second = node.wish(small)
    await_true(node.converting, 'a copy is being written')
    with outage(node.cloud):
        pause(seconds)
    node.await_recovered((first, big), (second, small))


@pytest.mark.parametrize('outage', [mon_frozen, database_gone])
def test_a_short_outage_costs_no_copy(
    cloud: Cloud,
    tmp_path: Path,
    big_image: Path,
    small_image: Path,
    outage: Outage,
) -> None:
    others = {'database': {'connection': IMPATIENT.format(cloud.directory)}}
    with running(cloud, tmp_path, others) as node:
        survives(node, outage, 3, big_image, small_image)


@pytest.mark.endurance
@pytest.mark.parametrize('options', [{}, TIMEOUTS], ids=['patient', 'hasty'])
@pytest.mark.parametrize(
    ('outage', 'seconds'),
    [(osd_frozen, 30), (osd_dead, 30), (mon_frozen, 30)],
)
def test_ceph_may_be_away_for_half_a_minute(
    cloud: Cloud,
    tmp_path: Path,
    big_image: Path,
    small_image: Path,
    outage: Outage,
    seconds: float,
    options: dict[str, dict[str, object]],
) -> None:
    with running(cloud, tmp_path, options) as node:
        survives(node, outage, seconds, big_image, small_image)


@pytest.mark.endurance
@pytest.mark.parametrize('wait', [1, 60], ids=['hasty', 'patient'])
@pytest.mark.parametrize('outage', [database_gone, database_locked])
def test_the_database_may_be_away_for_twenty_seconds(
    cloud: Cloud,
    tmp_path: Path,
    big_image: Path,
    small_image: Path,
    outage: Outage,
    wait: int,
) -> None:
    url = IMPATIENT.format(cloud.directory).replace('=1', f'={wait}')
    with running(cloud, tmp_path, {'database': {'connection': url}}) as node:
        survives(node, outage, 20, big_image, small_image)


@pytest.mark.endurance
def test_two_agents_make_each_copy_once_after_an_outage(
    cloud: Cloud, tmp_path: Path, big_image: Path, small_image: Path
) -> None:
    """The lease has run out, and both are back at the same moment."""
    with (
        running(cloud, tmp_path, TIMEOUTS, 'other'),
        running(cloud, tmp_path, TIMEOUTS) as node,
    ):
        first, second = node.wish(big_image), node.wish(small_image)
        await_true(
            lambda: [n for n in node.pool.names() if n.endswith('.part')],
            'a copy is begun',
        )
        with osd_frozen(cloud):
            pause(30)
        node.await_recovered((first, big_image), (second, small_image))


@pytest.mark.endurance
def test_a_pool_that_fills_up_meanwhile_is_waited_for(
    cloud: Cloud, tmp_path: Path, big_image: Path, small_image: Path
) -> None:
    message = exceptions.NoSpace.sentence
    with running(cloud, tmp_path) as node:
        small = node.wish(small_image)
        await_true(lambda: node.settled(small), 'there is a copy')
        big = node.wish(big_image)
        with filled(cloud, node):
            task = node.tenant.await_copy_task(big, ('failure',))
            assert task['message'] == message
            known = await_true(
                lambda: agents.known_attempts(node.pool).get(big),
                'the attempt is remembered',
            )
            assert (known.error, known.refused) == (message, False)
        node.await_recovered((small, small_image), (big, big_image))


@contextlib.contextmanager
def filled(cloud: Cloud, node: Node) -> Iterator[None]:
    """The raw pool is full from the midst of a conversion on."""
    (qemu_img,) = await_true(node.converting, 'a copy is being written')
    qemu_img.suspend()
    held = holding.Held(qemu_img)
    try:
        with full(cloud):
            held.go_on()
            yield
    finally:
        held.go_on()
