# SPDX-License-Identifier: Apache-2.0
"""What one worker has begun another one goes on with, slice by slice."""

import contextlib
import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore import resuming
from glance_rawstore.agent import service
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import Slices
from glance_rawstore.tasks import plugin
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import blocklisting
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.conftest import region
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import importing
from tests.functional.support import sha512
from tests.functional.support import tidy
from tests.functional.watching import Watched

#: The slices of an image of 192 MiB of data, in MiB.
SLICE = {'slice_size': 16, 'lease_duration': 6, 'conversion_workers': 1}
QUICK = {
    **SLICE,
    'reconcile_interval': 1,
    'reap_interval': 2,
    'retry_delay': 1,
}
#: What is logged of a conversion that comes to nothing.
ENDS = ('failed', 'given up', 'left to another worker')
#: As many slices are done before something happens.
DONE = 4


@pytest.fixture(scope='module')
def _watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    found = Watched(tmp_path_factory.mktemp('watched'))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('PATH', found.path)
        yield found


@pytest.fixture(scope='module')
def _sliced(_watched: Watched, running_cloud: Cloud) -> Iterator[Cloud]:
    overrides = {'glance_rawstore': SLICE}
    with region(running_cloud, 'Sliced', overrides) as running:
        yield running


@pytest.fixture
def watched(_watched: Watched) -> Watched:
    """The qemu-img of all that is started here."""
    _watched.forget()
    return _watched


@pytest.fixture
def cloud(_sliced: Cloud) -> Iterator[Cloud]:
    """A cloud that converts in small slices."""
    yield _sliced
    tidy(_sliced)


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


@pytest.fixture
def node(cloud: Cloud, tmp_path: Path) -> Iterator[Path]:
    """Configuration of a node for an agent."""
    with agents.configured(cloud, tmp_path, 'node', **QUICK) as conf:
        yield conf


@contextlib.contextmanager
def halfway(
    tenant: Tenant, pool: Pool, watched: Watched, image: Path
) -> Iterator[str]:
    """An import whose conversion is held after some slices; its image."""
    watched.hold_after(DONE)
    image_id = tenant.start_import(image, raw_cache='true')
    await_true(lambda: watched.held, 'it is halfway')
    # It may be while the image is being stored, and not yet be known of what.
    content = f'qcow2/{image.stat().st_size}/{sha512(image)}'

    def known() -> bool:
        found = done(pool, image_id)
        return found is not None and found.source == content

    await_true(known, 'it is known of what')
    await_true(lambda: not importing(tenant.cloud), 'it is imported')
    await_true(lambda: tenant.locations(image_id).get('raw'), 'it is pending')
    found = done(pool, image_id)
    assert found is not None
    assert found.done == DONE
    yield image_id
    watched.let_go()


def done(pool: Pool, image_id: str) -> Slices | None:
    """What is done of a ``.part``."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        rbd_id = opened.rbd_id(raw_copy.part_name(image_id))
        return resuming.saved(opened, rbd_id) if rbd_id else None


def await_copy(tenant: Tenant, image_id: str) -> None:
    """Wait until the image has an active copy that says so."""

    def active() -> bool:
        row = tenant.locations(image_id).get('raw')
        return bool(row) and row['metadata']['status'] == 'active'

    await_true(active, f'{image_id} has its copy')


def check_written(
    tenant: Tenant, pool: Pool, watched: Watched, image: Path, image_id: str
) -> None:
    """The one that was held was converted again, and no other."""
    converted = watched.converted()
    assert converted[DONE] == converted[DONE + 1]
    once = converted[: DONE + 1] + converted[DONE + 2 :]
    assert sum(length for _, length in once) == 1 << 30
    for before, after in itertools.pairwise(once):
        assert sum(before) == after[0]
    assert pool.names() == [f'{image_id}_raw']
    pool.assert_identical(image_id, image)
    assert tenant.download_sha512(image_id) == sha512(image)


def check_resumed(
    tenant: Tenant, pool: Pool, watched: Watched, image: Path, image_id: str
) -> dict[str, Any]:
    """The same, by one task, which it gives."""
    check_written(tenant, pool, watched, image, image_id)
    tasks = [
        task
        for task in tenant.tasks(image_id)
        if task['input']['import_req']['method']['name'] == 'raw-cache'
    ]
    (task,) = tasks
    assert task['status'] == 'success', task
    assert task['result']['resumed_at_percent'] > 20
    assert 'resumed at' in task['message']
    assert agents.known_attempts(pool) == {}
    return task


def test_what_a_killed_api_has_done_is_not_done_again(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    pool = Pool(cloud)
    with halfway(tenant, pool, watched, big_image) as image_id:
        begun = tenant.copy_task(image_id)
        cloud.kill()
    cloud.start()

    with Agent(cloud, node.parent, node) as agent:
        await_copy(tenant, image_id)
        task = tenant.await_copy_task(image_id)
        assert 'going on with its raw copy' in agent.log()

    assert begun is not None
    assert task['id'] == begun['id'], 'the task goes on as well'
    check_resumed(tenant, pool, watched, big_image, image_id)


def test_an_api_that_is_reloaded_hands_over_to_an_agent(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    pool = Pool(cloud)
    with Agent(cloud, node.parent, node) as agent:
        await_true(lambda: present(pool), 'the agent is there')
        with halfway(tenant, pool, watched, big_image) as image_id:
            begun = tenant.copy_task(image_id)
            workers = cloud.api_pids()
            started = time.monotonic()
            cloud.reload()
            await_true(
                lambda: not {*workers} & {*cloud.api_pids()},
                'its workers are new',
            )
            took = time.monotonic() - started
        await_true(
            lambda: 'has handed it over' in agent.log(), 'the agent has it'
        )
        noticed = time.monotonic() - started
        await_copy(tenant, image_id)
        task = tenant.await_copy_task(image_id)
        print(f'reload {took:.1f} s, taken after {noticed:.1f} s')

    assert took < plugin._GRACE, 'it does not wait to be interrupted'
    assert begun is not None
    assert task['id'] == begun['id']
    check_resumed(tenant, pool, watched, big_image, image_id)


def present(pool: Pool) -> bool:
    """Whether there is an agent."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return handover.attended(opened.ioctx)


def test_an_api_that_hangs_and_comes_back_does_no_harm(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    """Its lease has run out, and its copy has been made by another."""
    pool = Pool(cloud)
    with (
        Agent(cloud, node.parent, node),
        halfway(tenant, pool, watched, big_image) as image_id,
    ):
        begun = tenant.copy_task(image_id)
        family = [
            process
            for pid in cloud.api_pids()
            for process in (
                psutil.Process(pid),
                *psutil.Process(pid).children(recursive=True),
            )
        ]
        with holding.suspended(family):
            watched.let_go()
            await_true(
                lambda: pool.names() == [f'{image_id}_raw'], 'another made it'
            )
        # For whichever reason it sees first, when it is awake again.
        ends = [f'Raw copy of image {image_id} {end}' for end in ENDS]
        await_true(
            lambda: any(end in cloud.log() for end in ends), 'it gives up'
        )
        assert 'raw' in tenant.locations(image_id), 'it is not its own'
        await_copy(tenant, image_id)
        task = tenant.await_copy_task(image_id)

    assert begun is not None
    assert task['id'] == begun['id']
    check_resumed(tenant, pool, watched, big_image, image_id)


def test_an_api_that_is_reloaded_undoes_without_an_agent(
    cloud: Cloud, tenant: Tenant, watched: Watched, big_image: Path
) -> None:
    pool = Pool(cloud)
    with halfway(tenant, pool, watched, big_image) as image_id:
        cloud.reload()
        task = tenant.await_copy_task(image_id)

    assert task['status'] == 'failure'
    assert 'interrupted' in task['message']
    assert pool.names() == []
    assert 'raw' not in tenant.locations(image_id)


def test_an_agent_that_ends_is_continued_by_the_next_one(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    """As when it is upgraded; it is the only one."""
    pool = Pool(cloud)
    image_id = tenant.import_file(big_image)
    with Agent(cloud, node.parent, node) as agent:
        watched.hold_after(DONE)
        tenant.images.update(image_id, raw_cache='true')
        await_true(lambda: watched.held, 'it is halfway')
        started = time.monotonic()
        assert agent.stop() == 0
        took = time.monotonic() - started
        print(f'the agent has ended after {took:.1f} s')
    found = done(pool, image_id)
    assert found is not None
    assert found.done == DONE
    begun = tenant.copy_task(image_id)
    assert begun is not None
    assert begun['status'] == 'processing'
    assert 'another worker' in begun['message']
    watched.let_go()

    with Agent(cloud, node.parent, node):
        await_copy(tenant, image_id)
        task = tenant.await_copy_task(image_id)

    assert took < service.GRACE, 'it does not wait to be killed'
    assert task['id'] == begun['id']
    check_resumed(tenant, pool, watched, big_image, image_id)


def test_an_image_that_is_deleted_after_a_handover_leaves_nothing(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    pool = Pool(cloud)
    image_id = tenant.import_file(big_image)
    with Agent(cloud, node.parent, node) as agent:
        watched.hold_after(DONE)
        tenant.images.update(image_id, raw_cache='true')
        await_true(lambda: watched.held, 'it is halfway')
        assert agent.stop() == 0
    watched.let_go()
    tenant.images.delete(image_id)

    with Agent(cloud, node.parent, node):
        await_true(lambda: not pool.names(), 'the copy is gone')
        await_true(lambda: not offered(pool), 'and what was known of it')


def offered(pool: Pool) -> dict[str, str]:
    """What was handed over and not taken yet."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return handover.all_offered(opened.ioctx)


def lease_holders(pool: Pool, image_id: str) -> set[str]:
    """Addresses of who makes a copy."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        rbd_id = opened.rbd_id(raw_copy.part_name(image_id))
    return blocklisting.holders(
        pool, f'rbd_header.{rbd_id}', 'glance_rawstore'
    )


def test_what_a_blocklisted_api_has_done_is_not_done_again(
    cloud: Cloud,
    tenant: Tenant,
    watched: Watched,
    big_image: Path,
    node: Path,
) -> None:
    """It cannot renew its lease any more, so it ends what it writes."""
    pool = Pool(cloud)
    with halfway(tenant, pool, watched, big_image) as image_id:
        blocklisting.shut_out(cloud, lease_holders(pool, image_id))
        ended = tenant.await_copy_task(image_id)
        await_true(lambda: not holding.converting(cloud), 'none writes it')
        assert 'raw' not in tenant.locations(image_id)
    assert ended['status'] == 'failure'
    assert ended['message'] == exceptions.Blocklisted.sentence
    assert 'this client was blocklisted' in cloud.log()

    with Agent(cloud, node.parent, node) as agent:
        await_copy(tenant, image_id)
        assert 'going on with its raw copy' in agent.log()
    check_written(tenant, pool, watched, big_image, image_id)
