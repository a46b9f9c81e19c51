# SPDX-License-Identifier: Apache-2.0
"""Many conversions at once: all are made, projects take turns."""

import contextlib
import re
import threading
from concurrent import futures
from pathlib import Path

import pytest

from glance_rawstore import cluster_slots
from glance_rawstore import lease
from glance_rawstore import raw_pool
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import holding
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true

#: Of the project that wants most, and of the other one, in this order.
MANY, ONE = 7, 1
#: What they may run at once: max_conversions of the cloud.
AT_ONCE = 2


@pytest.fixture
def tenants(cloud: Cloud) -> list[Tenant]:
    """Who imports each image."""
    alice, bob = Tenant(cloud), Tenant(cloud, 'bob')
    return [*[alice] * MANY, *[bob] * ONE]


def ended(tenant: Tenant, image_id: str) -> str:
    """When its copy was made."""
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success', task
    return str(task['updated_at'])


def places(tenant: Tenant, image_id: str) -> int | None:
    """How many come before, as its task says."""
    task = tenant.copy_task(image_id)
    said = task['message'] if task else ''
    if 'it is next' in said:
        return 0
    found = re.search(r'to end: (\d+) before it', said)
    return int(found[1]) if found else None


def test_one_image_of_a_project_does_not_wait_for_seven_of_another(
    cloud: Cloud, pool: Pool, tenants: list[Tenant], small_image: Path
) -> None:
    with holding.no_slots(cloud):
        with futures.ThreadPoolExecutor(4) as importers:
            ids = list(
                importers.map(
                    lambda tenant: tenant.stage(small_image, raw_cache='true'),
                    tenants,
                )
            )
        for tenant, image_id in zip(tenants, ids, strict=True):
            tenant.images.image_import(image_id, method='glance-direct')
            tenant.await_copy_task(image_id, ('pending',))

        def told() -> list[int | None]:
            return [places(*one) for one in zip(tenants, ids, strict=True)]

        await_true(lambda: told()[-1] is not None, 'the one says its place')
        place = told()[-1]
        # Who waits says it anew now and then, and knows then who came since.
        await_true(
            lambda: len(ids) - 1 in told()[:MANY], 'one of the many is last'
        )
    when = [ended(*one) for one in zip(tenants, ids, strict=True)]

    assert place is not None
    assert place <= AT_ONCE
    assert sum(moment < when[-1] for moment in when) <= 2 * AT_ONCE, when
    assert sorted(pool.names()) == sorted(f'{i}_raw' for i in ids)
    for tenant, image_id in zip(tenants, ids, strict=True):
        location = tenant.locations(image_id)['raw']
        assert location['metadata']['status'] == 'active'


def test_two_nodes_convert_no_more_at_once_than_the_cluster_may(
    cloud: Cloud, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    tenant = Tenant(cloud)
    ids = [tenant.import_file(small_image) for _ in range(4)]
    for image_id in ids:
        tenant.images.update(image_id, raw_cache='true')
    most, stop = [0], threading.Event()

    def look() -> None:
        with raw_pool.RawPool.open(pool.settings) as opened:
            while not stop.wait(0.02):
                found = lease.holders(
                    opened.ioctx,
                    cluster_slots.OBJECT,
                    cluster_slots._RUNNING,
                )
                most[0] = max(most[0], found)

    looking = threading.Thread(target=look)
    with contextlib.ExitStack() as stack:
        looking.start()
        stack.callback(looking.join)
        stack.callback(stop.set)
        nodes = stack.enter_context(
            agents.nodes(
                cloud,
                tmp_path,
                2,
                reconcile_interval=2,
                max_conversions_cluster=1,
                lease_duration=6,
            )
        )
        await_true(
            lambda: sorted(pool.names()) == sorted(f'{i}_raw' for i in ids),
            'all copies are made',
        )
        for image_id in ids:
            ended(tenant, image_id)

    assert most == [1]
    assert all('Traceback' not in node.log() for node in nodes)
