# SPDX-License-Identifier: Apache-2.0
"""Several agents, many images."""

import contextlib
import random
import threading
import time
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest
import tenacity
from glanceclient import exc

from tests import images
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import open_tasks

pytestmark = pytest.mark.endurance

QUICK = {
    'reconcile_interval': 2,
    'reap_interval': 2,
    'retry_delay': 1,
    'lease_duration': 6,
    'max_conversions': 1,
}
MAKING = ': making its raw copy'


@pytest.fixture(scope='module')
def some_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One that takes about a second to convert."""
    contents = images.Contents(size=256 << 20, data=48 << 20)
    return images.qcow2(tmp_path_factory.mktemp('some'), contents=contents)


def made(tenant: Tenant, ids: list[str]) -> list[dict[str, Any]]:
    """The tasks by which a copy was made, not those that found it made."""
    return [
        task
        for image_id in ids
        for task in tenant.tasks(image_id)
        if 'store' in (task['result'] or {})
    ]


@pytest.mark.timeout(600)
def test_three_agents_share_twenty_images_though_one_is_killed(
    cloud: Cloud, pool: Pool, some_image: Path, tmp_path: Path
) -> None:
    tenant = Tenant(cloud)
    ids = [tenant.import_file(some_image) for _ in range(20)]
    for image_id in ids:
        tenant.images.update(image_id, raw_cache='true')

    def active() -> int:
        return sum(name.endswith('_raw') for name in pool.names())

    with agents.nodes(cloud, tmp_path, 3, **QUICK) as nodes:
        await_true(
            lambda: active() >= 5 and all(MAKING in n.log() for n in nodes),
            'all of them are at work',
        )
        nodes[0].kill()
        # It may have died when a copy was ready, and its task was not: that
        # is closed when nobody has heard of it for a minute.
        await_true(
            lambda: len(made(tenant, ids)) == 20, 'all tasks have ended', 240
        )
        await_true(lambda: active() == 20, 'all images have copies', 240)
        await_true(
            lambda: sorted(pool.names()) == sorted(f'{i}_raw' for i in ids),
            'nothing else is left',
        )
        await_true(
            lambda: all(
                tenant.locations(i)['raw']['metadata']['status'] == 'active'
                for i in ids
            ),
            'all locations say so',
        )

    assert len(made(tenant, ids)) == 20, 'each image was converted once'
    shares = [node.log().count(MAKING) for node in nodes]
    assert min(shares) >= 1
    assert min(shares[1:]) >= 3, shares
    assert all('Traceback' not in node.log() for node in nodes)


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(exc.HTTPConflict),
    wait=tenacity.wait_fixed(1),
    stop=tenacity.stop_after_delay(90),
    reraise=True,
)
def delete(tenant: Tenant, image_id: str) -> None:
    """Delete, again and again while a reader has the original open."""
    with contextlib.suppress(exc.HTTPNotFound):
        tenant.images.delete(image_id)


@pytest.mark.timeout(900)
def test_a_hundred_deletions_at_random_moments_leave_nothing(
    cloud: Cloud, pool: Pool, some_image: Path, tmp_path: Path
) -> None:
    moments = random.Random(20)  # the same in every run

    def one(moment: float) -> None:
        tenant = Tenant(cloud)
        image_id = tenant.start_import(some_image, raw_cache='true')
        tenant.await_active(image_id)
        time.sleep(moment)  # which is what is tested
        delete(tenant, image_id)

    with agents.nodes(cloud, tmp_path, 2, **QUICK):
        with futures.ThreadPoolExecutor(4) as users:
            list(users.map(one, [moments.uniform(0, 4) for _ in range(100)]))
        await_true(lambda: not pool.names(), 'nothing is left')
        # A conversion whose original went away is one that failed, at first.
        await_true(
            lambda: not agents.known_attempts(pool), 'nothing is remembered'
        )
        await_true(lambda: not open_tasks(cloud), 'every task has ended')
    # Snapshots that were removed are trimmed by the OSD in its own time.
    await_true(lambda: not pool.objects(), 'no object is left')
    assert 'died, killed by signal' not in cloud.log()


@pytest.mark.timeout(900)
def test_users_who_save_all_the_time_cost_no_copy_its_location(
    cloud: Cloud, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    """A save drops the location that it did not know when it was read."""
    count = 50
    tenant = Tenant(cloud)
    ids: list[str] = []
    ended = threading.Event()

    def save(seed: int) -> int:
        mine, chance, saved = Tenant(cloud), random.Random(seed), 0
        while not ended.is_set():
            with contextlib.suppress(exc.HTTPConflict):
                image_id = chance.choice(ids)
                mine.images.update(image_id, os_distro=f'{seed}-{saved}')
                saved += 1
        return saved

    def made() -> int:
        return sum(name.endswith('_raw') for name in pool.names())

    def active(image_id: str) -> bool:
        row = tenant.locations(image_id).get('raw')
        return bool(row and row['metadata']['status'] == 'active')

    with contextlib.ExitStack() as stack:
        stack.enter_context(agents.nodes(cloud, tmp_path, 1, **QUICK))
        users = stack.enter_context(futures.ThreadPoolExecutor(4))
        stack.callback(ended.set)
        # Imports end first: a save may take the location of the original
        # as well, which is Glance's alone to mind.
        ids.append(tenant.import_file(small_image, raw_cache='true'))
        saves = [users.submit(save, number) for number in range(4)]
        while len(ids) < count:
            ids.append(tenant.import_file(small_image, raw_cache='true'))
        await_true(lambda: made() == count, 'all copies are made', 300)
        ended.set()
        assert sum(saver.result() for saver in saves) > 2 * count
        for image_id in ids:
            await_true(
                lambda i=image_id: active(i), f'{image_id} has its location'
            )
        await_true(
            lambda: sorted(pool.names()) == sorted(f'{i}_raw' for i in ids),
            'there are the copies, and nothing else',
        )
