# SPDX-License-Identifier: Apache-2.0
"""One large image, its copy written by one worker, by two and by four.

Two cores that the cluster's own daemons share cannot show what more nodes
give. So the source is throttled: librbd lets each client read so much of the
original in a second and no more, and each qemu-img is a client of its own, as
it would be on a node with a network of that speed. Each worker is an agent
with slots of its own, as on a node of its own. All have slices of one size, so
that the second's worth that a client may read at once is as often given.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
import time
from pathlib import Path

from benchmarks import bed
from benchmarks import images
from benchmarks import parts
from benchmarks.comparisons import Comparison
from benchmarks.comparisons import within
from glance_rawstore import handover
from glance_rawstore import raw_pool
from tests.cloud import Cloud
from tests.functional.agents import Agent
from tests.functional.agents import configured
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import throttled

#: Workers, and how many times as fast as one they shall be.
AT_LEAST = {2: 1.8, 4: 3.4}

#: Guest data of the image, and what each client reads in a second; bytes.
DATA = 2048 * images.MIB
RATE = 24 * images.MIB
#: In MiB.
SLICE = 64
ROUNDS = 2
#: Seconds between two looks, and for which a copy is waited for.
_LOOK = 0.05
_PATIENCE = 600.0


@dataclasses.dataclass(frozen=True)
class _Bench:
    cloud: Cloud
    tenant: Tenant
    pool: Pool
    path: Path


@parts.part(
    'workers',
    'one copy written by one, two and four workers, from a throttled source; '
    'six minutes',
    glances=lambda options: (bed.OURS,),
)
def _workers(run: parts.Run) -> None:
    image = images.make(run.directory, DATA)[0]
    cloud = run.stage.clouds[bed.OURS]
    bench = _Bench(cloud, Tenant(cloud), Pool(cloud), image.path)
    taken: dict[int, list[float]] = {1: [], **{n: [] for n in AT_LEAST}}
    for number in range(ROUNDS):
        for count, seconds in taken.items():
            run.stage.settle()
            run.say(f'round {number + 1} of {ROUNDS}: {count} workers')
            seconds.append(_convert(bench, count))
    rows = {
        count: run.add(_row(count), seconds, image=image.name)
        for count, seconds in taken.items()
    }
    for count, at_least in AT_LEAST.items():
        run.compare(
            Comparison(
                f'large image, throttled: 1 worker / {count}',
                image.name,
                rows[1].median / rows[count].median,
                spread=within(taken[1], taken[count]),
                at_least=at_least,
            )
        )


def _row(count: int) -> str:
    return f'large image, throttled: {count} worker{"s" * (count > 1)}'


def _convert(bench: _Bench, count: int) -> float:
    """Seconds from the begun copy to the active one."""
    image_id = bench.tenant.import_file(bench.path)
    throttled(bench.cloud, image_id, RATE)
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for number in range(count):
            conf = stack.enter_context(
                configured(
                    bench.cloud,
                    directory,
                    f'node-{number}',
                    slice_size=SLICE,
                    reconcile_interval=1,
                    max_conversions=1,
                    convert_staged='never',
                    conversion_workers=count,
                )
            )
            stack.enter_context(Agent(bench.cloud, conf.parent, conf))
        await_true(lambda: _agents(bench.pool) == count, 'all are there', 60)
        bench.tenant.images.update(image_id, raw_cache='true')
        begun = _seen(bench.pool, f'{image_id}_raw.part')
        ended = _seen(bench.pool, f'{image_id}_raw')
        bench.tenant.images.delete(image_id)
        await_true(lambda: not bench.pool.names(), 'all is removed', 60)
    return ended - begun


def _agents(pool: Pool) -> int:
    with raw_pool.RawPool.open(pool.settings) as opened:
        return handover.agents(opened.ioctx)


def _seen(pool: Pool, name: str) -> float:
    """When an RBD image of that name is there."""
    until = time.monotonic() + _PATIENCE
    with raw_pool.RawPool.open(pool.settings) as opened:
        while opened.rbd_id(name) is None:
            assert time.monotonic() < until, f'no {name}'
            time.sleep(_LOOK)
    return time.monotonic()
