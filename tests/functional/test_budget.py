# SPDX-License-Identifier: Apache-2.0
"""A raw store that keeps to its budget, on a real Glance and a real Ceph."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glance_rawstore import budget
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore import uses
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.lifecycle.uses import Count
from tests import images
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.agents import Agent
from tests.functional.conftest import region
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import open_tasks
from tests.functional.support import tidy

MIB = 1 << 20
#: What the API and every node are told, unless a test says otherwise: above
#: 57 MiB the oldest copies go, down to 30 MiB.
STORE = {
    'raw_cache_budget': '60MiB',
    'raw_cache_high_watermark': 95,
    'raw_cache_low_watermark': 50,
    'raw_cache_eviction_policy': 'oldest',
}


@pytest.fixture(scope='module')
def _budgeted(running_cloud: Cloud) -> Iterator[Cloud]:
    with region(running_cloud, 'Budgeted', {'raw': STORE}) as running:
        yield running


@pytest.fixture
def cloud(_budgeted: Cloud) -> Iterator[Cloud]:
    """A Glance whose raw store has a budget."""
    yield _budgeted
    _budgeted.cluster.empty_pool('volumes')
    tidy(_budgeted)


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


def qcow2(directory: Path, data: int, size: int = 64 * MIB) -> Path:
    """An image with so much data, in bytes."""
    contents = images.Contents(size=size, data=data, places=('start',))
    where = directory / f'{data}'
    where.mkdir(exist_ok=True)
    return images.qcow2(where, contents=contents)


def used(pool: Pool) -> Budget:
    """The budget of the API's configuration."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return budget.read(opened, Limits(bytes=60 * MIB, high=95, low=50))


def evictions(pool: Pool) -> dict[str, str]:
    """Policies by the images whose copies they have evicted."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        found = evicted.read_all(opened.ioctx)
    return {image_id: noted.policy for image_id, noted in found.items()}


def kept(pool: Pool, images: list[str]) -> list[int]:
    """Which of these images have a copy."""
    names = pool.names()
    return [
        n for n, image_id in enumerate(images) if f'{image_id}_raw' in names
    ]


def failed(task: dict[str, Any] | None) -> dict[str, Any] | None:
    """The task, if it has failed."""
    return task if task and task['status'] == 'failure' else None


def oldest_first(pool: Pool, images: list[str]) -> list[str]:
    """These images in the order in which their copies were made."""
    await_true(lambda: len(kept(pool, images)) == 10, 'all have copies')
    with raw_pool.RawPool.open(pool.settings) as opened:
        # librbd tells whole seconds, in which several may be made.
        made = {
            copy.image_id: directory.created(opened.ioctx, copy.rbd_id) or 0.0
            for copy in inventory.listing(opened).active
        }
    return sorted(images, key=lambda image_id: made[image_id])


def test_each_policy_evicts_what_it_should_and_stops_at_the_low_watermark(
    cloud: Cloud, tenant: Tenant, pool: Pool, tmp_path: Path, volumes: str
) -> None:
    path = qcow2(tmp_path, 4 * MIB)
    made = oldest_first(
        pool, [tenant.start_import(path, raw_cache='true') for _ in range(10)]
    )
    tenant.images.update(made[0], raw_cache_protected='true')
    await_true(lambda: not open_tasks(cloud), 'all tasks have ended')
    one = used(pool).used // 10
    assert 4 * MIB <= one < 5 * MIB
    child = f'{volumes}/child'
    cloud.cluster.rbd('clone', f'{cloud.raw_pool}/{made[1]}_raw@snap', child)
    with raw_pool.RawPool.open(pool.settings) as opened:
        # Handed out often, long ago; and once, just now.
        often = {made[4]: Count(9, time.time() - 3600)}
        uses.add(opened.ioctx, often, 604800)
        lately = {made[5]: Count(1, time.time() + 60)}
        uses.add(opened.ioctx, lately, 604800)

    def reconcile(policy: str, most: int, low: int, *args: str) -> list[str]:
        """With room for so many copies, down to so many of them."""
        store = {
            'raw_cache_budget': most * one + 10,
            'raw_cache_high_watermark': 99,
            'raw_cache_low_watermark': -(-low * 100 // most),
            'raw_cache_eviction_policy': policy,
        }
        name = f'{policy}-{len(args)}'
        with agents.configured(cloud, tmp_path, name, {'raw': store}) as conf:
            done = agents.run_with(
                conf, 'reconcile', '--format', 'json', *args
            )
        assert done.returncode == 0, done.stderr
        found = agents.actions(done.stdout)
        # What is wished for still is not made again.
        assert {action['action'] for action in found} <= {'evict copy'}
        return [action['image_id'] for action in found]

    assert reconcile('never', 9, 5) == []
    assert kept(pool, made) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    # The first is protected, the second has a clone.
    assert reconcile('oldest', 9, 8, '--dry-run') == [made[2], made[3]]
    assert kept(pool, made) == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert reconcile('oldest', 9, 8) == [made[2], made[3]]
    # Neither the one of a moment ago nor one that was made after its use.
    assert reconcile('lru', 7, 6) == [made[4], made[6]]
    assert kept(pool, made) == [0, 1, 5, 7, 8, 9]
    with raw_pool.RawPool.open(pool.settings) as opened:
        liked = dict.fromkeys((made[7], made[8]), Count(5, time.time()))
        uses.add(opened.ioctx, liked, 604800)
    assert reconcile('popularity', 5, 4) == [made[9], made[5]]

    assert kept(pool, made) == [0, 1, 7, 8]
    assert used(pool).used == 4 * one
    assert set(tenant.locations(made[9])) == {'ceph'}
    assert set(tenant.locations(made[0])) == {'ceph', 'raw'}
    policies = evictions(pool)
    assert [policies.get(image_id) for image_id in made] == [
        *(None, None, 'oldest', 'oldest', 'lru'),
        *('popularity', 'lru', None, None, 'popularity'),
    ]


def test_the_api_makes_room_or_refuses_with_numbers(
    cloud: Cloud, tenant: Tenant, pool: Pool, tmp_path: Path
) -> None:
    path = qcow2(tmp_path, 16 * MIB)
    first, second, third = (tenant.make_copy(path) for _ in range(3))
    before = used(pool)
    assert before.taken <= before.high < before.taken * 4 / 3

    fourth = tenant.make_copy(path)

    after = used(pool)
    assert after.taken == before.taken / 3, 'the next one would be too many'
    assert evictions(pool) == dict.fromkeys((first, second, third), 'oldest')

    huge = qcow2(tmp_path, 64 * MIB, 128 * MIB)
    refused = tenant.import_file(huge, raw_cache='true')
    task = tenant.await_copy_task(refused)
    assert task['status'] == 'failure'
    for text in ('needs 64.', '(128.0 MiB at most)', ', 60.0 MiB, ', 'budget'):
        assert text in task['message']

    before_copying = cloud.log().count('The raw copy needs 64.')
    unwished = tenant.import_file(huge)
    cloud.client('admin').images.image_import(
        unwished, method='copy-image', stores=['raw']
    )
    await_true(
        lambda: cloud.log().count('The raw copy needs 64.') > before_copying,
        'copy-image is refused as well',
    )
    tenant.await_active(unwished)
    assert 'raw' not in tenant.locations(unwished)
    assert used(pool) == after, 'nothing went for nothing'
    assert pool.names() == [f'{fourth}_raw']
    assert tenant.images.get(refused).status == 'active'


def test_of_two_nodes_that_race_for_the_last_space_one_wins(
    cloud: Cloud, tenant: Tenant, pool: Pool, tmp_path: Path
) -> None:
    path = qcow2(tmp_path, 6 * MIB)
    both = [tenant.import_file(path) for _ in range(2)]
    ours = {
        'reconcile_interval': 1,
        'retry_delay': 1,
        'retry_limit': 100,
        'max_conversions': 1,
    }
    store = {
        'raw': {
            'raw_cache_budget': '10MiB',
            'raw_cache_eviction_policy': 'never',
        }
    }
    with contextlib.ExitStack() as stack:
        logs = []
        for name in ('one', 'other'):
            conf = stack.enter_context(
                agents.configured(cloud, tmp_path, name, store, **ours)
            )
            directory = tmp_path / f'log-{name}'
            directory.mkdir()
            logs.append(stack.enter_context(Agent(cloud, directory, conf)))
        for image_id in both:
            tenant.images.update(image_id, raw_cache='true')

        def ended() -> bool:
            tasks = [tenant.copy_task(image_id) for image_id in both]
            found = {task['status'] for task in tasks if task}
            return found == {'success', 'failure'}

        await_true(ended, 'one has its copy, and the other has none')
        winner, loser = both
        if f'{loser}_raw' in pool.names():
            winner, loser = loser, winner
        # The other one is tried again, and has a .part for a moment each time.
        await_true(
            lambda: pool.names() == [f'{winner}_raw'], 'one has its copy'
        )
        task = await_true(
            lambda: failed(tenant.copy_task(loser)), 'the other one has failed'
        )
        assert ', 10.0 MiB, ' in task['message']
        assert 'are free' in task['message']
        assert used(pool).reserved == 0

        tenant.images.update(winner, raw_cache='false')

        await_true(
            lambda: pool.names() == [f'{loser}_raw'],
            'the other one has its copy when there is room',
        )
