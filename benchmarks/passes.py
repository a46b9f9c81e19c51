# SPDX-License-Identifier: Apache-2.0
"""What the agent's passes cost with a thousand copies, and with ten.

There is nothing to do in any of them: that is what a pass costs for ever. All
of it happens in a process of its own, since Glance's code can be configured
once in a process.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import dataclasses
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from glance.context import RequestContext
from glance.db.sqlalchemy import api as db

from benchmarks import bed
from benchmarks import population
from benchmarks import processes
from benchmarks.population import Place
from glance_rawstore import ceph
from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.node import Node
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.cloud.config import RAW
from tests.functional.agents import Agent
from tests.functional.agents import configured
from tests.processes import ProcessError

#: The two loops of the agent.
RECONCILE, REAP = 'reconcile', 'reap'
#: Active copies, in turn; and those in the trash all the while, each with a
#: clone.
COPIES = (1_000, 10_000)
TRASHED = 100
#: Passes of each kind, of which the median counts.
ROUNDS = 3
#: Threads that make copies, while another enters their images.
_MAKERS = 8
#: Passes that a running agent makes while its memory is looked at, and
#: seconds that it pauses between them.
_WATCHED = 3
_PAUSE = 1
#: Seconds between two looks at it.
_PERIOD = 0.2

_POOL = 'passes_volumes'


@dataclasses.dataclass(frozen=True)
class Passes:
    """What passes of one kind cost.

    :param copies: active ones in the pool
    :param seconds: of each pass, in their order
    :param operations: of clients that the OSD served during each
    """

    what: str
    copies: int
    seconds: tuple[float, ...]
    operations: tuple[int, ...]

    @property
    def median(self) -> float:
        """In seconds."""
        return statistics.median(self.seconds)

    @property
    def median_operations(self) -> float:
        """Of all passes."""
        return statistics.median(self.operations)


@dataclasses.dataclass
class Agents:
    """What the agent costs.

    :param memory: most that a running agent had of it, all of its processes,
        in bytes, by the number of active copies
    """

    passes: list[Passes] = dataclasses.field(default_factory=list)
    memory: dict[int, int] = dataclasses.field(default_factory=dict)

    def find(self, what: str, copies: int) -> Passes | None:
        """What such passes cost, or None if none were made."""
        for found in self.passes:
            if (found.what, found.copies) == (what, copies):
                return found
        return None


def measure(stage: bed.Bed, say: Callable[[str], None]) -> Agents:
    """Make copies, time passes over them; then more copies, and again.

    :param say: is told what is done
    :raises ProcessError: a pass found something to do
    """
    found = Agents()
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(_cloud(stage))
        stage.cluster.create_pool(_POOL)
        place = Place.of(cloud)
        worker = stack.enter_context(
            concurrent.futures.ProcessPoolExecutor(
                1, multiprocessing.get_context('spawn')
            )
        )
        before = 0
        for copies in COPIES:
            say(f'making {copies - before} copies for the agent')
            trashed = 0 if before else TRASHED
            worker.submit(_grow, place, copies - before, trashed).result()
            before = copies
            for what in (RECONCILE, REAP):
                passes = _timed(stage, worker, place, what, copies)
                say(f'{copies} copies: {what}: {passes.median:.2f} s')
                found.passes.append(passes)
            watched = _WATCHED * max(
                1.0, *(p.median for p in found.passes if p.copies == copies)
            )
            found.memory[copies] = _memory(cloud, watched)
    return found


def _cloud(stage: bed.Bed) -> Cloud:
    quiet = {'DEFAULT': {'debug': False}}
    return Cloud(
        stage.cluster,
        quiet,
        prefix='passes_',
        region='passes',
        keystone=stage.keystone,
        processes=1,
    )


def _timed(
    stage: bed.Bed,
    worker: concurrent.futures.Executor,
    place: Place,
    what: str,
    copies: int,
) -> Passes:
    seconds, operations = [], []
    for _ in range(ROUNDS):
        before = stage.cluster.operations()
        seconds.append(worker.submit(_pass, place, what).result())
        operations.append(stage.cluster.operations() - before)
    return Passes(what, copies, tuple(seconds), tuple(operations))


def _memory(cloud: Cloud, seconds: float) -> int:
    """What a running agent takes at most in that time, in bytes."""
    most = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        configured(
            cloud,
            Path(directory),
            'agent',
            reconcile_interval=_PAUSE,
            reap_interval=_PAUSE,
        ) as conf,
        Agent(cloud, Path(directory), conf) as agent,
    ):
        end = time.monotonic() + seconds + _WATCHED * _PAUSE
        while time.monotonic() < end:
            pids = [process.pid for process in agent.family()]
            most = max(most, sum(map(processes.pss, pids)))
            time.sleep(_PERIOD)
    return most


# In the other process --------------------------------------------------------

_nodes: dict[Place, Node] = {}


def _node(place: Place) -> Node:
    if place not in _nodes:
        _nodes[place] = Node.start([place.conf], RAW)
    return _nodes[place]


def _grow(place: Place, copies: int, trashed: int) -> None:
    """Make images with copies, and deleted ones whose copies have a clone."""
    _node(place)
    owner = uuid.uuid4().hex
    ids = [str(uuid.uuid4()) for _ in range(copies + trashed)]
    with raw_pool.RawPool.open(place.settings()) as pool:
        with concurrent.futures.ThreadPoolExecutor(_MAKERS) as makers:
            makes = [
                makers.submit(population.make_copies, pool, ids[n::_MAKERS])
                for n in range(_MAKERS)
            ]
            for image_id in ids:
                population.enter(place, owner, image_id, True, True)
            for made in makes:
                made.result()
        _delete_in_use(place, pool, ids[:trashed])


def _delete_in_use(
    place: Place, pool: raw_pool.RawPool, image_ids: list[str]
) -> None:
    """Delete images, each of whose copies is given a clone first."""
    admin = RequestContext(is_admin=True)
    with ceph.connect(place.settings(_POOL)) as (_, volumes):
        for image_id in image_ids:
            ceph.rbd.RBD().clone(
                pool.ioctx,
                raw_copy.name(image_id),
                raw_copy.SNAPSHOT,
                volumes,
                image_id,
                features=ceph.rbd.RBD_FEATURE_LAYERING,
            )
            db.image_destroy(admin, image_id)
            pool.delete(image_id)


def _pass(place: Place, what: str) -> float:
    """One pass with nothing to do; how many seconds it took.

    :raises ProcessError: there was something to do
    """
    look = {RECONCILE: _reconcile, REAP: _reap}[what]
    node = _node(place)
    start = time.perf_counter()
    done = look(node)
    taken = time.perf_counter() - start
    if done:
        raise ProcessError(f'{what} had something to do: {done[:5]}')
    return taken


def _reconcile(node: Node) -> list[object]:
    told: list[object] = []
    wanted, failed = reconciling.reconcile(node, told.append)
    return [*told, *wanted, *[None] * failed]


def _reap(node: Node) -> list[object]:
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        reaped = inventory.reap(pool)
    if len(reaped.in_use) != TRASHED:
        raise ProcessError(f'{len(reaped.in_use)} copies in the trash')
    return [*reaped.gone]
