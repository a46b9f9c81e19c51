# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at every step: then exactly one active copy, or none.

The whole table is one test, as what must be waited for is the same for all
rows: leases run out, and tasks of dead workers are closed after a minute.
"""

import contextlib
import dataclasses
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import rbd
import requests
from rich import box
from rich import console
from rich import table

from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.cluster import Cluster
from tests.functional import agents
from tests.functional import killing
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512

pytestmark = pytest.mark.endurance

ROOT = Path(__file__).parents[2]
QUICK = {
    'reconcile_interval': 1,
    'reap_interval': 1,
    'retry_delay': 1,
    'lease_duration': 6,
    'slice_size': 48,
}

#: Points at which an import dies with its conversion: there is no image.
DURING_IMPORT = (killing.DURING_IMPORT, killing.EARLY)
#: Points for which there must be some data.
MIDDLE = (killing.CONVERTING, killing.WRITTEN, killing.BETWEEN)


@dataclasses.dataclass
class Row:
    """One process that was killed, and what is there at last."""

    who: str
    point: str
    image_id: str
    source: Path
    found: list[str] = dataclasses.field(default_factory=list)


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The file that says where to die."""
    path = tmp_path / 'kill-at'
    monkeypatch.setenv(killing.VARIABLE, str(path))
    monkeypatch.setenv('PYTHONPATH', str(ROOT))
    return path


@pytest.fixture
def mortal_cloud(
    kill_at: Path, cluster: Cluster, running_cloud: Cloud
) -> Iterator[Cloud]:
    """A cloud whose API can be killed at any step."""
    with Cloud(
        cluster,
        {
            'glance_rawstore': {
                'lease_duration': 6,
                'slice_size': 48,
                'convert_staged': 'always',
            }
        },
        filters={'killing': 'tests.functional.killing:filter_factory'},
        prefix='mortal-',
        region='Mortal',
        keystone=running_cloud.keystone,
    ) as running:
        yield running


def await_killed(kill_at: Path, point: str) -> None:
    await_true(lambda: not kill_at.exists(), f'it was killed at {point}')


def kill_api(
    cloud: Cloud, kill_at: Path, small: Path, big: Path
) -> Iterator[Row]:
    """An import for each point, whose worker dies there."""
    tenant = Tenant(cloud)
    points = [
        *killing.STEPS,
        killing.EARLY,
        *MIDDLE,
        killing.SNAPSHOT,
        killing.PROTECTED,
        killing.RENAMED,
    ]
    for point in points:
        source = big if point in (*MIDDLE, killing.EARLY) else small
        image_id = tenant.stage(source, raw_cache='true')
        kill_at.write_text(f'{point} {image_id}')
        if point == killing.RENAMED:
            kill_at.write_text(point)  # which does not know whose it is
        tenant.images.image_import(image_id, method='glance-direct')
        await_killed(kill_at, point)
        yield Row('API worker', point, image_id, source)


def kill_deleting(cloud: Cloud, kill_at: Path, small: Path) -> Iterator[Row]:
    """A deletion of a copy for each point."""
    tenant = Tenant(cloud)
    for point in (killing.TRASHED, killing.BARE):
        image_id = tenant.make_copy(small)
        kill_at.write_text(point)
        with pytest.raises(requests.ConnectionError):
            delete_once(cloud, image_id)
        await_killed(kill_at, point)
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
    cloud: Cloud, agent: Agent, kill_at: Path, small: Path, big: Path
) -> Iterator[Row]:
    """A wish for each point at which an agent dies; it is started again."""
    tenant = Tenant(cloud)
    points = [*killing.STEPS, *MIDDLE, killing.PROTECTED]
    for point in points:
        source = big if point in MIDDLE else small
        image_id = tenant.import_file(source)
        kill_at.write_text(f'{point} {image_id}')
        tenant.images.update(image_id, raw_cache='true')
        await_killed(kill_at, point)
        yield Row('agent', point, image_id, source)


def kill_qemu_img(cloud: Cloud, agent: Agent, big: Path) -> Iterator[Row]:
    """A conversion of an agent whose qemu-img dies."""
    tenant = Tenant(cloud)
    image_id = tenant.import_file(big)
    await_true(lambda: not list(working(agent)), 'nobody converts')
    tenant.images.update(image_id, raw_cache='true')
    await_true(lambda: list(working(agent)), 'qemu-img runs')[0].kill()
    yield Row('qemu-img', killing.CONVERTING, image_id, big)


class Verdict:
    """Looks at everything that must hold in the end."""

    def __init__(self, cloud: Cloud, scratch: Path, log: Path) -> None:
        self._cloud = cloud
        self._tenant = Tenant(cloud)
        self._pool = Pool(cloud)
        self._scratch = scratch
        self._log = log

    def settled(self, row: Row) -> bool:
        """Whether its copy is active, and none of its tasks is open."""
        if row.point in DURING_IMPORT and row.who == 'API worker':
            return f'{row.image_id}_raw' not in ' '.join(self._pool.names())
        open_tasks = [
            task
            for task in self._tasks(row)
            if task['status'] in ('pending', 'processing')
        ]
        return not open_tasks and self._status(row) == 'active'

    def _tasks(self, row: Row) -> list[dict[str, Any]]:
        return [
            task
            for task in self._tenant.tasks(row.image_id)
            if task['input']['import_req']['method']['name'] == 'raw-cache'
        ]

    def _status(self, row: Row) -> str | None:
        location = self._tenant.locations(row.image_id).get('raw')
        return location['metadata']['status'] if location else None

    def of(self, row: Row) -> list[str]:
        """What is there, and asserts that it is as it should be."""
        names = [n for n in self._pool.names() if row.image_id in n]
        if row.point in DURING_IMPORT and row.who == 'API worker':
            assert names == [], row
            return ['none', '-', '-', '-']
        assert names == [f'{row.image_id}_raw'], row
        images = self._cloud.client('admin').images.get(row.image_id)
        rows = [x for x in images.locations if x['metadata'].get('format')]
        assert [x['metadata']['status'] for x in rows] == ['active'], row
        assert self._tenant.download_sha512(row.image_id) == sha512(row.source)
        self._pool.assert_identical(row.image_id, row.source)
        self._no_lock(row)
        tasks = sorted(task['status'] for task in self._tasks(row))
        assert set(tasks) <= {'success', 'failure'}, row
        assert 'success' in tasks, row
        found = ', '.join(tasks) + self._resumed(row)
        return ['one, identical', 'active', 'unchanged', found]

    def _resumed(self, row: Row) -> str:
        """Where workers went on, if they did.

        By the log: its last worker may be killed with the next row's, when
        the copy is ready and its task does not say so yet.
        """
        at = re.findall(
            rf'Image {row.image_id}: going on with its raw copy at (\d+%)',
            self._log.read_text(),
        )
        assert row.point != killing.BETWEEN or set(at) - {'0%'}, row
        return f' (resumed at {", ".join(at)})' if at else ''

    def _no_lock(self, row: Row) -> None:
        with (
            raw_pool.RawPool.open(self._pool.settings) as pool,
            pool.image(raw_copy.name(row.image_id)) as image,
        ):
            assert not lease.held(pool.ioctx, str(image.id())), row
            assert list(image.list_lockers() or []) == [], row

    def nothing_is_left(self, rows: list[Row]) -> None:
        """No object too many in the pool, nothing known, nothing spooled."""
        active = {f'{row.image_id}_raw' for row in rows}
        assert set(self._pool.names()) <= active
        assert agents.known_attempts(self._pool) == {}
        for directory in (self._scratch, self._cloud.directory / 'tasks'):
            for path in directory.iterdir():
                assert path.suffix == '.conf' or path.stat().st_size == 0
        with raw_pool.RawPool.open(self._pool.settings) as pool:
            ids = {found['id'] for found in rbd.RBD().list2(pool.ioctx)}
        await_true(
            lambda: all(
                name.startswith('rbd_id.') or name.split('.')[1] in ids
                for name in self._pool.objects()
            ),
            'every object belongs to a copy',
        )


def show(rows: list[Row]) -> None:
    """Print the table."""
    shown = table.Table(box=box.SIMPLE_HEAD)
    headings = ('KILLED', 'AT', 'COPY', 'LOCATION', 'ORIGINAL', 'TASKS')
    for heading in headings:
        shown.add_column(heading)
    for row in rows:
        shown.add_row(row.who, row.point, *row.found)
    console.Console(width=120).print(shown)


@pytest.mark.timeout(1000)
def test_whoever_is_killed_wherever_there_is_one_copy_or_none(
    mortal_cloud: Cloud,
    kill_at: Path,
    small_image: Path,
    big_image: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cloud = mortal_cloud
    rows = list(kill_api(cloud, kill_at, small_image, big_image))
    rows += kill_deleting(cloud, kill_at, small_image)
    with (
        agents.configured(cloud, tmp_path, 'node', **QUICK) as conf,
        Agent(cloud, tmp_path, conf, killing.AGENT) as agent,
    ):
        verdict = Verdict(cloud, conf.parent, agent.log_file)
        for row in rows:
            await_true(lambda r=row: verdict.settled(r), f'{row} is settled')
        rows += kill_agent(cloud, agent, kill_at, small_image, big_image)
        for row in rows:  # else the wrong one is killed
            await_true(lambda r=row: verdict.settled(r), f'{row} is settled')
        rows += kill_qemu_img(cloud, agent, big_image)
        for row in rows:
            await_true(lambda r=row: verdict.settled(r), f'{row} is settled')
        await_true(
            lambda: not [n for n in Pool(cloud).names() if 'trash' in n],
            'the trash is reaped',
        )
    for row in rows:
        row.found = verdict.of(row)
    verdict.nothing_is_left(rows)
    with capsys.disabled():
        show(rows)
    assert not os.path.exists(kill_at)
