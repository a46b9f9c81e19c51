# SPDX-License-Identifier: Apache-2.0
"""Rows of the kill matrix: who was killed where, and what is there at last."""

import contextlib
import dataclasses
import os
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import psutil
import rbd
from rich import box
from rich import console
from rich import table

from glance_rawstore import cluster_slots
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import slots
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import killing
from tests.functional import killing_staged
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import sha512

#: Of a cloud that can be killed, and of its agent.
OPTIONS = {
    'lease_duration': 6,
    'slice_size': 48,
    'max_conversions': 2,
    # More than can be held at once by the dead, so that nobody waits for it.
    'max_conversions_cluster': 8,
}
#: Points at which an import dies with its conversion: there is no image.
DURING_IMPORT = (
    killing.DURING_IMPORT,
    killing.EARLY,
    *killing_staged.DURING_IMPORT,
)
_ENDED = ('success', 'failure')


@dataclasses.dataclass
class Row:
    """One process that was killed, and what is there at last."""

    who: str
    point: str
    image_id: str
    source: Path
    found: list[str] = dataclasses.field(default_factory=list)

    @property
    def imported(self) -> bool:
        """Whether there is an image."""
        return self.point not in DURING_IMPORT or self.who != 'API worker'


def await_killed(kill_at: Path, point: str) -> None:
    """Wait until somebody has died at that point."""
    await_true(lambda: not kill_at.exists(), f'it was killed at {point}')


def await_let_go(cloud: Cloud) -> None:
    """Wait until no process at all has a staged file open."""
    await_true(lambda: not _held(cloud), 'no staged file is open')


def _held(cloud: Cloud) -> list[str]:
    staging, found = f'{cloud.directory}/staging/', []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError):  # it has ended
            for file in os.scandir(f'/proc/{process.pid}/fd'):
                with contextlib.suppress(OSError):
                    target = os.readlink(file.path)
                    if target.startswith(staging):
                        found.append(f'{process}: {target}')
    return found


class Verdict:
    """Looks at everything that must hold in the end.

    :param scratch: scratch directory of the agent
    :param log: the agent's
    :param tasks: wait for those of the dead to be closed, after a minute
    """

    def __init__(
        self, cloud: Cloud, scratch: Path, log: Path, tasks: bool
    ) -> None:
        self._with_tasks = tasks
        self._cloud = cloud
        self._tenant = Tenant(cloud)
        self._pool = Pool(cloud)
        self._scratch = scratch
        self._log = log

    def await_settled(self, rows: Iterable[Row]) -> None:
        """Wait until all copies are active, and their tasks are closed."""
        for row in rows:
            await_true(lambda r=row: self._settled(r), f'{row} is settled')

    def _settled(self, row: Row) -> bool:
        if not row.imported:
            return f'{row.image_id}_raw' not in ' '.join(self._pool.names())
        ended = all(task['status'] in _ENDED for task in self._tasks(row))
        closed = ended or not self._with_tasks
        return (
            closed
            and self._status(row) == 'active'
            and not self._at_work(row.image_id)
        )

    def _at_work(self, image_id: str) -> bool:
        """Whether a worker has not let go yet of a copy that is there."""
        if image_id in agents.known_attempts(self._pool):
            return True
        with raw_pool.RawPool.open(self._pool.settings) as pool:
            rbd_id = pool.rbd_id(raw_copy.name(image_id))
            return rbd_id is None or lease.held(pool.ioctx, rbd_id)

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
        if not row.imported:
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
        if self._with_tasks:
            assert set(tasks) <= {*_ENDED}, row
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

    def nothing_is_left(self, rows: Collection[Row]) -> None:
        """No object too many in the pool, nothing known, staged or held."""
        active = {f'{row.image_id}_raw' for row in rows}
        assert set(self._pool.names()) <= active
        assert agents.known_attempts(self._pool) == {}
        self._nothing_staged(rows)
        for directory in (self._scratch, self._cloud.directory / 'tasks'):
            _nothing_spooled(directory)
        with raw_pool.RawPool.open(self._pool.settings) as pool:
            ids = {found['id'] for found in rbd.RBD().list2(pool.ioctx)}
            await_true(
                lambda: not _cluster_slots(pool.ioctx),
                'no slot of the cluster is held',
            )
        await_true(
            lambda: all(
                name.startswith('rbd_id.') or name.split('.')[1] in ids
                for name in self._pool.objects()
            ),
            'every object belongs to a copy',
        )

    def _nothing_staged(self, rows: Iterable[Row]) -> None:
        """But what Glance itself keeps of an import that has died."""
        await_let_go(self._cloud)
        died = {row.image_id for row in rows if not row.imported}
        staged = list((self._cloud.directory / 'staging').iterdir())
        assert {path.name for path in staged} == died
        assert [path.stat().st_nlink for path in staged] == [1] * len(died)


def _nothing_spooled(directory: Path) -> None:
    """Nor is a slot held, or the ticket of a dead one there."""
    count = OPTIONS['max_conversions']
    with contextlib.ExitStack() as taken:
        for _each in range(count):
            slot = slots.at_once(str(directory), count)
            assert slot is not None, f'somebody has a slot in {directory}'
            taken.enter_context(slot)
    for path in directory.iterdir():
        assert path.suffix == '.conf' or path.stat().st_size == 0
        assert not path.name.startswith('raw-conversion-')


def _cluster_slots(ioctx: Any) -> list[str]:
    found = []
    for name in (cluster_slots._WAITING, cluster_slots._RUNNING):
        found += lease.cookies(ioctx, cluster_slots.OBJECT, name)
    return found


def show(rows: list[Row]) -> None:
    """Print the table."""
    shown = table.Table(box=box.SIMPLE_HEAD)
    headings = ('KILLED', 'AT', 'COPY', 'LOCATION', 'ORIGINAL', 'TASKS')
    for heading in headings:
        shown.add_column(heading)
    for row in rows:
        shown.add_row(row.who, row.point, *row.found)
    console.Console(width=120).print(shown)
