# SPDX-License-Identifier: Apache-2.0
"""Running agents on a real Glance and a real Ceph."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from glance_rawstore.agent import service
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512

#: Quick, so that tests are.
QUICK = {
    'reconcile_interval': 1,
    'reap_interval': 2,
    'retry_delay': 1,
    'lease_duration': 6,
}


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


@pytest.fixture
def agent(cloud: Cloud, tmp_path: Path) -> Iterator[Agent]:
    """A running agent on a node of its own."""
    with (
        agents.configured(cloud, tmp_path, 'node', **QUICK) as conf,
        Agent(cloud, tmp_path, conf) as running,
    ):
        yield running


def status(tenant: Tenant, image_id: str) -> str | None:
    """Status of the copy's location."""
    row = tenant.locations(image_id).get('raw')
    return row['metadata']['status'] if row else None


def await_copy(tenant: Tenant, image_id: str) -> None:
    """Wait until the image has an active copy that says so."""
    await_true(
        lambda: status(tenant, image_id) == 'active',
        f'{image_id} has its copy',
    )


def test_copies_follow_the_property(
    agent: Agent, tenant: Tenant, pool: Pool, small_image: Path
) -> None:
    image_id = tenant.import_file(small_image)

    tenant.images.update(image_id, raw_cache='true')
    await_copy(tenant, image_id)

    assert pool.names() == [f'{image_id}_raw']
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success'
    assert f'Image {image_id}: making its raw copy' in agent.log()
    tenant.images.update(image_id, raw_cache='false')
    pool.await_empty()
    await_true(lambda: status(tenant, image_id) is None, 'its location goes')
    assert tenant.download_sha512(image_id) == sha512(small_image)
    assert 'Traceback' not in agent.log()


def test_a_trashed_copy_goes_with_its_last_clone_by_itself(
    agent: Agent,
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    small_image: Path,
    volumes: str,
) -> None:
    image_id = tenant.make_copy(small_image)
    child = f'{volumes}/child'
    cloud.cluster.rbd('clone', f'{cloud.raw_pool}/{image_id}_raw@snap', child)
    tenant.images.delete(image_id)
    assert pool.names() == [f'trash:{image_id}_raw']

    cloud.cluster.rbd('rm', '--no-progress', child)
    began = time.monotonic()

    pool.await_empty()
    # Within 10 s, on a machine that has nothing else to do.
    print(f'it was gone after {time.monotonic() - began:.1f} s')
    # The reaper's line, or the reconciler's, whose pass may have come first.
    told = ('its deleted copy is gone', 'reap: it was deleted')
    await_true(lambda: any(t in agent.log() for t in told), 'a line about it')


def test_an_upload_and_a_default_wish_are_converted(
    cloud: Cloud,
    tenant: Tenant,
    small_image: Path,
    tmp_path: Path,
) -> None:
    """Not imported, and without the property."""
    image_id = tenant.images.create(
        name='upload', disk_format='qcow2', container_format='bare'
    )['id']
    with small_image.open('rb') as data:
        tenant.images.upload(image_id, data)
    options = {**QUICK, 'raw_cache_default': True}
    with (
        agents.configured(cloud, tmp_path, 'default', **options) as conf,
        Agent(cloud, tmp_path, conf),
    ):
        await_copy(tenant, image_id)


def test_what_a_killed_api_has_begun_is_done_by_the_agent(
    agent: Agent,
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    big_image: Path,
) -> None:
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        cloud.kill()
    assert pool.names() == [f'{image_id}_raw.part']
    cloud.start()

    await_copy(tenant, image_id)

    assert pool.names() == [f'{image_id}_raw']
    assert tenant.download_sha512(image_id) == sha512(big_image)
    await_true(
        lambda: (
            [task['status'] for task in tenant.tasks(image_id)]
            == ['success', 'success']
        ),
        'the import has ended, and the task that was left',
    )
    assert agents.known_attempts(pool) == {}


def test_an_agent_that_is_told_to_end_hands_over(
    agent: Agent,
    cloud: Cloud,
    tenant: Tenant,
    pool: Pool,
    big_image: Path,
    tmp_path: Path,
) -> None:
    image_id = tenant.import_file(big_image)
    tenant.images.update(image_id, raw_cache='true')
    await_true(  # else it may be done before the agent ends
        lambda: any(map(holding.stopped, holding.among(agent.family()))),
        'a conversion of the agent is stopped',
    )
    started = time.monotonic()

    assert agent.stop() == 0

    took = time.monotonic() - started
    print(f'the agent has ended after {took:.1f} s')
    assert took < service.GRACE, 'it does not wait to be killed'
    begun = tenant.copy_task(image_id)
    assert begun['status'] == 'processing'
    assert 'another worker' in begun['message']
    assert pool.names() == [f'{image_id}_raw.part']
    assert agents.known_attempts(pool) == {}, 'it does not count'
    with (
        agents.configured(cloud, tmp_path, 'other', **QUICK) as conf,
        Agent(cloud, tmp_path, conf),
    ):
        await_copy(tenant, image_id)
        assert tenant.await_copy_task(image_id)['id'] == begun['id']
    assert pool.names() == [f'{image_id}_raw']


def test_an_agent_that_loses_a_process_starts_it_again(
    agent: Agent, tenant: Tenant, small_image: Path
) -> None:
    await_true(lambda: len(agent.family()) >= 3, 'it has its processes')
    for process in agent.family()[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGKILL)

    image_id = tenant.import_file(small_image)
    tenant.images.update(image_id, raw_cache='true')

    await_copy(tenant, image_id)


def test_nothing_is_left_running_by_a_killed_agent(
    agent: Agent, tenant: Tenant, big_image: Path
) -> None:
    """Its processes end with the master, and qemu-img with them."""
    image_id = tenant.import_file(big_image)
    tenant.images.update(image_id, raw_cache='true')
    family = await_true(
        lambda: (
            holding.among(found := agent.family())
            and found  # with what converts
        ),
        'it converts',
    )

    family[0].send_signal(signal.SIGKILL)

    def lives(process: psutil.Process) -> bool:
        with contextlib.suppress(psutil.NoSuchProcess):
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        return False

    await_true(lambda: not any(map(lives, family)), 'all of it has ended')
    del image_id
