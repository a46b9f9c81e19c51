# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every step: then exactly one active copy, or none.

The whole table of one way to convert is one test, as what must be waited for
is the same for all rows: leases run out, and tasks of dead workers are closed
after a minute.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

from tests.cloud import Cloud
from tests.cluster import Cluster
from tests.functional import agents
from tests.functional import holding
from tests.functional import killing
from tests.functional import killing_staged
from tests.functional import matrix
from tests.functional.agents import Agent
from tests.functional.matrix import Row
from tests.functional.matrix import Verdict
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import importing
from tests.functional.support import let_import_lock_go_stale

ROOT = Path(__file__).parents[2]
QUICK = {
    'reconcile_interval': 1,
    'reap_interval': 1,
    'retry_delay': 1,
    **matrix.OPTIONS,
}

#: Points for which there must be some data.
MIDDLE = (killing.CONVERTING, killing.WRITTEN, killing.BETWEEN)
COMMITTING = (killing.SNAPSHOT, killing.PROTECTED, killing.RENAMED)
BIG = (*MIDDLE, killing.EARLY, killing_staged.HASHING)

#: Points of an import, by the way in which its staged file is converted.
POINTS = {
    'always': (*killing.STEPS, killing.EARLY, *MIDDLE, *COMMITTING),
    'after': (
        *killing.STEPS,
        *killing_staged.POINTS,
        *MIDDLE,
        *COMMITTING,
    ),
}
#: Those of which CI makes sure.
IN_CI = (
    killing_staged.AWAITING,
    killing_staged.HASHING,
    killing_staged.ENDING,
)

Mortal = Callable[[str], contextlib.AbstractContextManager[Cloud]]


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that says where to die."""
    path = tmp_path / 'kill-at'
    monkeypatch.setenv(killing.VARIABLE, str(path))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    return path


@pytest.fixture
def mortal(kill_at: Path, cluster: Cluster, running_cloud: Cloud) -> Mortal:
    """Clouds whose API can be killed at any step, by ``convert_staged``."""
    del kill_at  # is in the environment by now

    def cloud(convert_staged: str) -> Cloud:
        ours = {**matrix.OPTIONS, 'convert_staged': convert_staged}
        return Cloud(
            cluster,
            {'glance_rawstore': ours},
            filters={
                'killing': 'tests.functional.killing_staged:filter_factory'
            },
            prefix=f'mortal-{convert_staged}-',
            region=f'Mortal-{convert_staged}',
            keystone=running_cloud.keystone,
        )

    return cloud


def kill_api(
    cloud: Cloud,
    kill_at: Path,
    points: Iterable[str],
    small: Path,
    big: Path,
) -> Iterator[Row]:
    """An import for each point, whose worker dies there."""
    tenant = Tenant(cloud)
    for point in points:
        source = big if point in BIG else small
        image_id = tenant.stage(source, raw_cache='true')
        kill_at.write_text(f'{point} {image_id}')
        if point == killing.RENAMED:
            kill_at.write_text(point)  # which does not know whose it is
        tenant.images.image_import(image_id, method='glance-direct')
        matrix.await_killed(kill_at, point)
        matrix.await_let_go(cloud)
        if point in killing_staged.IN_LAST_STEPS:
            assert importing(cloud).count(image_id) == 1
            lock = tenant.images.get(image_id)['os_glance_import_task']
            let_import_lock_go_stale(cloud, lock)
        yield Row('API worker', point, image_id, source)


def kill_children(cloud: Cloud, big: Path) -> Iterator[Row]:
    """An import for each of the two that read a staged file, and die."""
    tenant = Tenant(cloud)
    for running in (holding.converting, holding.hashing):
        image_id = tenant.start_import(big, raw_cache='true')
        found = await_true(lambda r=running: r(cloud), 'it runs')[0]
        program = found.name()
        found.kill()
        tenant.await_copy_task(image_id)
        matrix.await_let_go(cloud)
        yield Row(program, killing.DURING_IMPORT, image_id, big)


def kill_deleting(cloud: Cloud, kill_at: Path, small: Path) -> Iterator[Row]:
    """A deletion of a copy for each point."""
    tenant = Tenant(cloud)
    for point in (killing.TRASHED, killing.BARE):
        image_id = tenant.make_copy(small)
        kill_at.write_text(point)
        with pytest.raises(requests.ConnectionError):
            delete_once(cloud, image_id)
        matrix.await_killed(kill_at, point)
        yield Row('API worker', point, image_id, small)


def delete_once(cloud: Cloud, image_id: str) -> None:
    """Delete a copy as an admin who does not ask again."""
    requests.delete(
        f'{cloud.catalog_url}/v2/stores/raw/{image_id}',
        headers={'X-Auth-Token': cloud.keystone.session('admin').get_token()},
        timeout=60,
    )


def working(agent: Agent) -> Iterator[Any]:
    """An agent's qemu-img processes."""
    for process in agent.family():
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == 'qemu-img':
                yield process


def kill_agent(
    cloud: Cloud, kill_at: Path, small: Path, big: Path
) -> Iterator[Row]:
    """A wish for each point at which an agent dies; it is started again."""
    tenant = Tenant(cloud)
    points = [*killing.STEPS, *MIDDLE, killing.PROTECTED]
    for point in points:
        source = big if point in MIDDLE else small
        image_id = tenant.import_file(source)
        kill_at.write_text(f'{point} {image_id}')
        tenant.images.update(image_id, raw_cache='true')
        matrix.await_killed(kill_at, point)
        yield Row('agent', point, image_id, source)


def kill_qemu_img(cloud: Cloud, agent: Agent, big: Path) -> Iterator[Row]:
    """A conversion of an agent whose qemu-img dies."""
    tenant = Tenant(cloud)
    image_id = tenant.import_file(big)
    await_true(lambda: not list(working(agent)), 'nobody converts')
    tenant.images.update(image_id, raw_cache='true')
    await_true(lambda: list(working(agent)), 'qemu-img runs')[0].kill()
    yield Row('qemu-img', killing.CONVERTING, image_id, big)


@contextlib.contextmanager
def judged(
    cloud: Cloud, directory: Path, tasks: bool = True
) -> Iterator[tuple[Agent, Verdict]]:
    """An agent that mends what the killed have left, and who looks at it.

    :param tasks: see :class:`Verdict`
    """
    with (
        agents.configured(cloud, directory, 'node', **QUICK) as conf,
        Agent(cloud, directory, conf, killing.AGENT) as agent,
    ):
        yield agent, Verdict(cloud, conf.parent, agent.log_file, tasks)
        await_true(
            lambda: not [n for n in Pool(cloud).names() if 'trash' in n],
            'the trash is reaped',
        )


def judge(
    verdict: Verdict, rows: list[Row], capsys: pytest.CaptureFixture[str]
) -> None:
    """Look at all of them, with the agent gone, and print the table."""
    for row in rows:
        row.found = verdict.of(row)
    verdict.nothing_is_left(rows)
    with capsys.disabled():
        matrix.show(rows)


@pytest.mark.endurance
@pytest.mark.timeout(1000)
def test_whoever_is_killed_wherever_there_is_one_copy_or_none(
    mortal: Mortal,
    kill_at: Path,
    small_image: Path,
    big_image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images = (small_image, big_image)
    with mortal('always') as cloud:
        rows = list(kill_api(cloud, kill_at, POINTS['always'], *images))
        rows += kill_deleting(cloud, kill_at, small_image)
        with judged(cloud, tmp_path) as (agent, verdict):
            verdict.await_settled(rows)
            rows += kill_agent(cloud, kill_at, *images)
            # Else the wrong one is killed.
            verdict.await_settled(rows)
            rows += kill_qemu_img(cloud, agent, big_image)
            verdict.await_settled(rows)
        judge(verdict, rows, capsys)
    assert not os.path.exists(kill_at)


@pytest.mark.parametrize(
    'points',
    [
        pytest.param(IN_CI, id='some'),
        pytest.param(
            POINTS['after'],
            id='all',
            marks=[pytest.mark.endurance, pytest.mark.timeout(1000)],
        ),
    ],
)
def test_a_file_held_after_its_upload_gives_one_copy_or_none(
    points: tuple[str, ...],
    mortal: Mortal,
    kill_at: Path,
    small_image: Path,
    big_image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with mortal('after') as cloud:
        rows = list(kill_api(cloud, kill_at, points, small_image, big_image))
        all_of_it = points == POINTS['after']
        if all_of_it:
            rows += kill_children(cloud, big_image)
        with judged(cloud, tmp_path, all_of_it) as (_agent, verdict):
            verdict.await_settled(rows)
        judge(verdict, rows, capsys)
    assert not os.path.exists(kill_at)
