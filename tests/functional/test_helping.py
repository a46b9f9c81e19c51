# SPDX-License-Identifier: Apache-2.0
"""Agents on several nodes write one copy, and any of them may die."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from glance_rawstore import crew
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import Slices
from tests import images
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512
from tests.functional.support import throttled

MIB = 1 << 20
NODES = 3
QUICK = {
    'slice_size': 8,
    'lease_duration': 6,
    'reconcile_interval': 1,
    'reap_interval': 2,
    'retry_delay': 1,
    'max_conversions': 1,
    'conversion_workers': 4,
    'convert_staged': 'never',
}
#: Bytes a second that each client may read of an original.
RATE = 6 * MIB


@pytest.fixture(scope='module')
def large_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One of twelve slices, each of which takes more than a second."""
    contents = images.Contents(size=1024 * MIB, data=96 * MIB)
    return images.qcow2(tmp_path_factory.mktemp('large'), contents=contents)


@pytest.fixture
def nodes(cloud: Cloud, tmp_path: Path) -> Iterator[list[Agent]]:
    """As many as write one copy here."""
    with agents.nodes(cloud, tmp_path, NODES, **QUICK) as found:
        yield found


def begun(tenant: Tenant, pool: Pool, image: Path) -> str:
    """An image of which all nodes write the copy; its id."""
    image_id = tenant.import_file(image)
    with raw_pool.RawPool.open(pool.settings) as opened:
        await_true(
            lambda: handover.agents(opened.ioctx) == NODES, 'all are there'
        )
    throttled(tenant.cloud, image_id, RATE)
    tenant.images.update(image_id, raw_cache='true')
    await_true(
        lambda: len(known(pool, image_id).workers()) == NODES,
        'all of them write it',
    )
    return image_id


def known(pool: Pool, image_id: str) -> Slices:
    """What has become of the slices of a ``.part``."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        rbd_id = opened.rbd_id(raw_copy.part_name(image_id))
        found = resuming.saved(opened, rbd_id) if rbd_id else None
    return found or Slices('', ())


def role(nodes: list[Agent], image_id: str, owner: bool) -> Agent:
    """The node that makes the copy, or one that helps."""
    begins = f'Image {image_id}: making its raw copy'
    late = 'Another worker is making this raw copy'

    def makes(node: Agent) -> bool:
        return begins in node.log() and late not in node.log()

    return next(node for node in nodes if makes(node) is owner)


def kill_writing(
    nodes: list[Agent], pool: Pool, image_id: str, owner: bool
) -> None:
    """Kill the one who makes the copy, or one who helps, while it writes."""
    node = role(nodes, image_id, owner)

    def caught() -> bool:
        holding.suspend(node.family())
        if len(known(pool, image_id).workers()) == NODES:
            return True
        holding.resume(node.family())  # somebody was between two slices
        return False

    await_true(caught, 'all of them write')
    node.kill()


def check(tenant: Tenant, pool: Pool, image: Path, image_id: str) -> None:
    """There is one copy, of every byte; and nothing else."""

    def active() -> bool:
        row = tenant.locations(image_id).get('raw')
        return bool(row) and row['metadata']['status'] == 'active'

    await_true(active, f'{image_id} has its copy')
    assert pool.names() == [f'{image_id}_raw']
    pool.assert_identical(image_id, image)
    assert tenant.download_sha512(image_id) == sha512(image)
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert agents.known_attempts(pool) == {}
    with raw_pool.RawPool.open(pool.settings) as opened:
        await_true(
            lambda: crew.offered(opened.ioctx) == {}, 'no slices are offered'
        )


def resumed_at(tenant: Tenant, image_id: str) -> list[int]:
    """Percents at which a worker has gone on, by its task."""
    results = [task['result'] or {} for task in tenant.tasks(image_id)]
    key = 'resumed_at_percent'
    return [result[key] for result in results if key in result]


def test_a_helper_that_is_killed_does_no_harm(
    cloud: Cloud, pool: Pool, nodes: list[Agent], large_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = begun(tenant, pool, large_image)

    kill_writing(nodes, pool, image_id, owner=False)

    check(tenant, pool, large_image, image_id)
    said = role(nodes, image_id, owner=True).log()
    assert 'not heard of any more' in said
    await_true(
        lambda: any('helped with its raw copy' in n.log() for n in nodes),
        'a helper says so, when it has noticed that all is done',
    )


def test_others_go_on_when_who_makes_the_copy_is_killed(
    cloud: Cloud, pool: Pool, nodes: list[Agent], large_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = begun(tenant, pool, large_image)
    before = known(pool, image_id)

    kill_writing(nodes, pool, image_id, owner=True)

    check(tenant, pool, large_image, image_id)
    # Nodes that began at the same moment have left it to one of them.
    (at,) = await_true(lambda: resumed_at(tenant, image_id), 'it says so')
    assert at >= 100 * before.part_done() - 1
    assert any('going on with its raw copy' in node.log() for node in nodes)
