# SPDX-License-Identifier: Apache-2.0
"""Conversions that take more than an hour.

After an hour without a message of its task, Glance takes the lock of an
import for stale, and lets another import break it. The source is throttled,
down to nothing, and the clocks of Glance and of the agent are put forward.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from glanceclient import exc

from tests.cloud import Cloud
from tests.cluster import Cluster
from tests.functional import agents
from tests.functional import clock
from tests.functional import holding
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512
from tests.functional.support import tidy

ROOT = Path(__file__).parents[2]
QUICK = {'reconcile_interval': 1, 'reap_interval': 2, 'lease_duration': 6}
MINUTES = 60

Forward = Callable[[float], None]


@pytest.fixture(scope='module')
def clock_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file by which the clocks are put forward."""
    path = tmp_path_factory.mktemp('clock') / 'ahead'
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(clock.VARIABLE, str(path))
        patch.setenv('PYTHONPATH', str(ROOT))
        yield path


@pytest.fixture(scope='module')
def _timely(
    clock_file: Path, cluster: Cluster, running_cloud: Cloud
) -> Iterator[Cloud]:
    with Cloud(
        cluster,
        stores={'fast': 'file'},
        filters={'clock': 'tests.functional.clock:filter_factory'},
        prefix='timely-',
        region='Timely',
        keystone=running_cloud.keystone,
    ) as running:
        yield running


@pytest.fixture
def cloud(_timely: Cloud) -> Iterator[Cloud]:
    """A cloud whose clock can be put forward."""
    yield _timely
    tidy(_timely)


@pytest.fixture
def forward(clock_file: Path) -> Forward:
    """Puts the clocks forward by so many seconds. They never go back."""

    def put(seconds: float) -> None:
        written = clock_file.with_suffix('.new')
        written.write_text(str(clock.ahead() + seconds))
        written.replace(clock_file)

    return put


@pytest.fixture
def agent(cloud: Cloud, tmp_path: Path) -> Iterator[Agent]:
    """An agent by the same clock."""
    with (
        agents.configured(cloud, tmp_path, 'node', **QUICK) as conf,
        Agent(cloud, conf.parent, conf, clock.AGENT) as running,
    ):
        yield running


def copying(cloud: Cloud, image_id: str) -> Any:
    """The task of the image's ``copy-image``, which is the admin's."""
    [found] = [
        task
        for task in Tenant(cloud, 'admin').tasks(image_id)
        if task['input']['import_req']['method']['name'] == 'copy-image'
    ]
    return found


def told(task: Any) -> Any:
    """The task, if it says how far the conversion is."""
    said = str(task['message']).startswith('Converting to raw: ')
    return task if said else None


def await_word(look: Callable[[], Any], after: str) -> None:
    """Wait until a task's worker is heard of by the new clock.

    :param look: gives the task
    :param after: when it was heard of last
    """
    minute = len('2026-01-01T00:00')
    await_true(
        lambda: look()['updated_at'][:minute] > after[:minute],
        'its worker is heard of',
    )


def await_copy(tenant: Tenant, image_id: str) -> None:
    """Wait until there is an active copy that says so."""

    def active() -> bool:
        row = tenant.locations(image_id).get('raw')
        return bool(row and row['metadata']['status'] == 'active')

    await_true(active, f'{image_id} has its copy')


def assert_identical(cloud: Cloud, image_id: str, source: Path) -> None:
    Pool(cloud).assert_identical(image_id, source)
    assert Tenant(cloud).download_sha512(image_id) == sha512(source)


def test_others_may_copy_an_image_whose_conversion_takes_an_hour(
    cloud: Cloud, agent: Agent, forward: Forward, big_image: Path
) -> None:
    """The conversion holds no lock of Glance's, so it cannot lose one."""
    tenant, admin = Tenant(cloud), cloud.client('admin').images
    image_id = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        before = tenant.copy_task(image_id)
        forward(61 * MINUTES)
        await_word(lambda: tenant.copy_task(image_id), before['updated_at'])
        admin.image_import(image_id, method='copy-image', stores=['fast'])
        await_true(
            lambda: 'fast' in tenant.images.get(image_id).stores,
            'another store has the image',
        )
        with pytest.raises(exc.HTTPConflict):
            tenant.images.image_import(image_id, method='glance-direct')
        assert tenant.copy_task(image_id)['status'] == 'processing'
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success', task
    await_copy(tenant, image_id)
    assert set(tenant.locations(image_id)) == {'ceph', 'fast', 'raw'}
    assert Pool(cloud).names() == [f'{image_id}_raw']
    assert_identical(cloud, image_id, big_image)
    assert 'fail task' not in agent.log()


def test_copy_image_that_takes_an_hour_keeps_its_lock(
    cloud: Cloud, forward: Forward, big_image: Path
) -> None:
    """It converts within an import, and tells that it is at work."""
    tenant, admin = Tenant(cloud), cloud.client('admin').images
    image_id = tenant.import_file(big_image)
    admin.image_import(image_id, method='copy-image', stores=['raw'])
    with holding.held(cloud, imported=False):
        before = await_true(
            lambda: told(copying(cloud, image_id)), 'it says what it does'
        )
        forward(61 * MINUTES)
        await_word(lambda: copying(cloud, image_id), before['updated_at'])
        for store in ('raw', 'fast'):
            with pytest.raises(exc.HTTPConflict):
                admin.image_import(
                    image_id, method='copy-image', stores=[store]
                )
    tenant.await_active(image_id)
    await_copy(tenant, image_id)
    assert set(tenant.locations(image_id)) == {'ceph', 'raw'}
    assert Pool(cloud).names() == [f'{image_id}_raw']
    assert_identical(cloud, image_id, big_image)
