# SPDX-License-Identifier: Apache-2.0
"""Many at once: imports by several projects, and clones of one copy."""

from __future__ import annotations

import argparse
import concurrent.futures
import contextlib
import dataclasses
import queue
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import rbd

from benchmarks import bed
from benchmarks import clones
from benchmarks import contestants
from benchmarks import cores
from benchmarks import images
from benchmarks import imports
from benchmarks import parts
from benchmarks.comparisons import Comparison
from tests.processes import ProcessError

#: Who imports how many, in this order: the last one must not wait for all.
IMPORTS = {'alice': 14, 'bob': 5, 'admin': 1}
COUNT = sum(IMPORTS.values())
#: Guest data of each image, in bytes; the disk is four times as large.
DATA = 96 * images.MIB
#: Imports of one image alone, of which the median counts.
SINGLE = 3
STORM_AT_MOST = 1.1

CLONES = 200
AT_ONCE = 8
CLONE_AT_MOST = 1.1
#: Clones of each kind before the clock starts.
WARM_UP = 8

#: In seconds, between looks at Glance's database, and for all of a storm.
PERIOD = 0.05
TIMEOUT = 900.0

_STATES = """
select images.id, images.status = 'active', exists(
    select 1 from image_locations as l where l.image_id = images.id
    and not l.deleted and l.meta_data like '%"status": "active"%'
    and l.meta_data like '%"format": "raw"%'
) from images where not images.deleted
"""


@dataclasses.dataclass(frozen=True)
class Storm:
    """What came of one; times in seconds from its begin.

    :param active: when each image was active, in the order of the imports
    :param raw: when each copy was active
    :param used: seconds of processors
    """

    users: Sequence[str]
    active: Sequence[float]
    raw: Sequence[float]
    used: float


def _ours(_options: argparse.Namespace) -> Sequence[str]:
    return (bed.OURS,)


@parts.part(
    'storm', 'many imports at once, many clones at once', glances=_ours
)
def _storm(run: parts.Run) -> None:
    image = images.make(run.directory, DATA)[0]
    _import(run, image, ['alice'] * 4)  # load the code of both workers
    alone = [_import(run, image, ['alice']) for _ in range(SINGLE)]
    users = [user for user, count in IMPORTS.items() for _ in range(count)]
    for _ in range(run.result.repeat):
        floors = [_floor(run, image)]
        storm = _import(run, image, users)
        floors.append(_floor(run, image))
        _report(run, storm, alone, statistics.median(floors))
    run.stage.settle()
    _clones(run, image)


def _floor(run: parts.Run, image: images.Image) -> float:
    """Seconds to write what a storm writes, originals and copies."""
    run.stage.settle()
    size = COUNT * (image.size + image.data)
    whole = dataclasses.replace(image, data=size, virtual=size)
    return contestants.floor(run.stage, whole)[contestants.FLOOR]


def _report(
    run: parts.Run, storm: Storm, alone: Sequence[Storm], floor: float
) -> None:
    taken, what = max(storm.raw), f'{COUNT} imports'
    by_cores = storm.used / cores.CORES
    run.add('floor of so many bytes', [floor], image=what)
    run.add('seconds of cores / cores', [by_cores], image=what)
    run.add('image active', storm.active, image=what)
    run.add('raw active', storm.raw, image=what)
    for user, count in IMPORTS.items():
        theirs = [
            raw
            for who, raw in zip(storm.users, storm.raw, strict=True)
            if who == user
        ]
        run.add(f'raw active, one with {count}', theirs, image=what)
    single = statistics.median(one.used for one in alone)
    run.add('seconds of cores', [storm.used / COUNT], image='each of them')
    run.add('seconds of cores', [one.used for one in alone], image='alone')
    run.add('raw active', [one.raw[0] for one in alone], image='alone')
    run.compare(
        Comparison(
            'storm / larger of floor, cores',
            what,
            taken / max(floor, by_cores),
            at_most=STORM_AT_MOST,
        )
    )
    run.compare(
        Comparison('cores: each / alone', what, storm.used / COUNT / single)
    )
    order = sorted(storm.raw).index(storm.raw[-1])
    run.compare(
        Comparison(
            'copies before that of the project with one image',
            what,
            float(order),
            at_most=float(2 * len(IMPORTS)),
        )
    )


def _import(
    run: parts.Run, image: images.Image, users: Sequence[str]
) -> Storm:
    """Import at once; the time when each image, and each copy, was active."""
    run.stage.settle()
    cloud = run.stage.clouds[bed.OURS]
    with contextlib.ExitStack() as stack:
        jobs = [
            stack.enter_context(imports.staged(cloud, image, True, user))
            for user in users
        ]
        run.say(f'{len(users)} imports at once')
        senders = stack.enter_context(
            concurrent.futures.ThreadPoolExecutor(AT_ONCE)
        )
        before, start = cores.used(), time.monotonic()
        sent = [senders.submit(job.start) for job in jobs]
        times = _watch(
            str(cloud.directory / 'glance.db'),
            [job.image_id for job in jobs],
            start,
        )
        used = sum(cores.since(before).values())
        for one in sent:
            one.result()
        for job in jobs:
            _check(job)
    return Storm(users, *zip(*times, strict=True), used=used)


def _check(job: imports.Import) -> None:
    statuses = {task['status'] for task in job.tasks()}
    if statuses != {'success'}:
        raise ProcessError(f'{job.image_id}: {job.tasks()}')


def _watch(
    path: str, image_ids: Sequence[str], start: float
) -> list[tuple[float, float]]:
    """When each image and its copy was seen to be active, in seconds.

    In Glance's database, as asking the API for all of them all the time would
    take a core.
    """
    seen: tuple[dict[str, float], dict[str, float]] = ({}, {})
    with contextlib.closing(
        sqlite3.connect(f'file:{path}?mode=ro', uri=True, timeout=60)
    ) as database:
        while len(seen[1]) < len(image_ids):
            now = time.monotonic() - start
            if now > TIMEOUT:
                raise ProcessError(f'not within {TIMEOUT:.0f} s: {seen}')
            for image_id, *states in database.execute(_STATES):
                for known, state in zip(seen, states, strict=True):
                    if state and image_id in image_ids:
                        known.setdefault(image_id, now)
            time.sleep(PERIOD)
    return [(seen[0][i], seen[1][i]) for i in image_ids]


# Clones ---------------------------------------------------------------------


def _clones(run: parts.Run, image: images.Image) -> None:
    """Clone one copy and one snapshot that is none, in turn, many at once."""
    cloud = run.stage.clouds[bed.OURS]
    clones.make_bare(run.stage, image)
    with imports.staged(cloud, image, raw=True) as job:
        job.run()
        parents = {
            'bare': (bed.POOL, clones.BARE),
            'raw copy': (cloud.raw_pool, f'{job.image_id}_raw'),
        }
        seconds = _time(run.stage, parents)
        # A raw copy that is cloned outlives its image.
        run.stage.cluster.empty_pool(bed.POOL)
    what = f'{CLONES} clones, {AT_ONCE} at a time'
    for parent, taken in seconds.items():
        run.add(f'clone: {parent}', taken, image=what)
    for name, of in (('median', 0.5), ('p95', 0.95), ('slowest', 1.0)):
        copy, bare = (_part(seconds[p], of) for p in ('raw copy', 'bare'))
        run.compare(
            Comparison(
                f'{name} clone: raw copy / bare',
                what,
                copy / bare,
                at_most=None if of == 1.0 else CLONE_AT_MOST,
            )
        )


def _part(values: Sequence[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


def _time(
    stage: bed.Bed, parents: dict[str, tuple[str, str]]
) -> dict[str, list[float]]:
    """Seconds of each clone, by what it is of; as many workers take turns."""
    seconds: dict[str, list[float]] = {what: [] for what in parents}
    # Those of one kind are spread over all of the time, as of the other.
    work: queue.SimpleQueue[tuple[int, str]] = queue.SimpleQueue()
    for number in range(WARM_UP + CLONES):
        for what in sorted(parents, reverse=bool(number % 2)):
            work.put((number, what))

    def clone_some() -> None:
        with _cloner(stage, parents) as clone:
            while True:
                try:
                    number, what = work.get_nowait()
                except queue.Empty:
                    return
                taken = clone(what, f'{what}-{number}'.replace(' ', '-'))
                if number >= WARM_UP:
                    seconds[what].append(taken)

    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as workers:
        for done in [workers.submit(clone_some) for _ in range(AT_ONCE)]:
            done.result()
    return seconds


@contextlib.contextmanager
def _cloner(
    stage: bed.Bed, parents: dict[str, tuple[str, str]]
) -> Iterator[Callable[[str, str], float]]:
    """What clones on a connection of its own, as a process of Cinder's has."""
    connection = stage.cluster.connect()
    try:
        pools = {pool for pool, _ in parents.values()} | {bed.POOL}
        opened = {pool: connection.open_ioctx(pool) for pool in pools}

        def clone(what: str, name: str) -> float:
            pool, parent = parents[what]
            start = time.perf_counter()
            rbd.RBD().clone(
                opened[pool], parent, clones.SNAPSHOT, opened[bed.POOL], name
            )
            return time.perf_counter() - start

        yield clone
    finally:
        connection.shutdown()
