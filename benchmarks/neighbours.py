# SPDX-License-Identifier: Apache-2.0
"""How long Glance takes to answer while conversions run, and while none do.

Conversions are kept waiting, by holding their slots, until as many wait as
are needed; then they run, as many at once as may.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from benchmarks import bed
from benchmarks import cores
from benchmarks import images
from benchmarks import imports
from benchmarks import latency
from benchmarks import parts
from benchmarks.comparisons import Comparison
from benchmarks.comparisons import within
from tests.cloud import Cloud
from tests.cloud import imaging
from tests.functional import holding
from tests.functional import support
from tests.processes import ProcessError

#: What is asked for, in turn.
IMAGE, LIST = 'GET image', 'GET 20 images'
LISTED = 20
#: Conversions in each round, and how many of them run at once.
CONVERSIONS, AT_ONCE = 6, 2
#: Seconds from an answer to the next question, and of a batch, before and
#: after which it is looked whether conversions run.
PAUSE = 0.03
BATCH = 0.5
#: Batches without conversions, before and after those with them.
IDLE = 12
AT_MOST = 1.2

#: As conversions run unless set otherwise.
USUAL = 'nice 19'

#: Seconds of each answer, by what was asked for.
Asked = dict[str, list[float]]


def ours(_options: argparse.Namespace) -> Sequence[str]:
    return (bed.OURS,)


@dataclasses.dataclass
class Asking:
    """Asks one Glance, in turn for all that is asked for."""

    client: latency.Client
    paths: dict[str, str]

    def batch(self, into: Asked) -> None:
        """Ask for a while, and keep the seconds that answers took."""
        until = time.monotonic() + BATCH
        for what in itertools.cycle(self.paths):
            into[what].append(self.client.get(self.paths[what])[0])
            time.sleep(PAUSE)
            if time.monotonic() > until:
                return


@parts.part(
    'neighbour', 'how long Glance takes to answer beside them', glances=ours
)
def _neighbour(run: parts.Run) -> None:
    beside = measure(run, (USUAL,), lambda _way: None)[0]
    report(run, beside, AT_MOST)


@dataclasses.dataclass
class Beside:
    """What came of one way to convert; times in seconds.

    :param way: in a word or two
    :ivar loaded: of what was asked while conversions ran
    :ivar idle: of what was asked before and after, while none did
    :ivar rounds: median of the one and of the other in each round
    :ivar used: of processors, by program, while conversions ran
    :ivar took: from the first conversion's begin to the last one's end
    """

    way: str
    loaded: Asked = dataclasses.field(default_factory=lambda: _none())
    idle: Asked = dataclasses.field(default_factory=lambda: _none())
    rounds: dict[str, list[tuple[float, float]]] = dataclasses.field(
        default_factory=dict
    )
    used: dict[str, float] = dataclasses.field(default_factory=dict)
    took: list[float] = dataclasses.field(default_factory=list)


def measure(
    run: parts.Run, ways: Sequence[str], choose: Callable[[str], Any]
) -> list[Beside]:
    """Ask while conversions run and while none do, each way in each round.

    :param choose: has conversions run in one of these ways from now on
    """
    cloud = run.stage.clouds[bed.OURS]
    asking = _asking(cloud)
    _warm_up(run, cloud, asking)
    found = [Beside(way) for way in ways]
    for number in range(run.result.repeat):
        first = number % len(found)
        for beside in found[first:] + found[:first]:
            run.say(f'round {number + 1}: {beside.way}')
            choose(beside.way)
            _round(run, asking, beside)
    return found


def _round(run: parts.Run, asking: Asking, beside: Beside) -> None:
    cloud = run.stage.clouds[bed.OURS]
    idle, loaded = _none(), _none()
    for _ in range(IDLE):
        asking.batch(idle)
    with _waiting(cloud, run.images[-1]) as begin:
        before, start = cores.used(), time.monotonic()
        begin()
        _ask_beside(cloud, asking, loaded)
        beside.took.append(time.monotonic() - start)
        for name, seconds in cores.since(before).items():
            beside.used[name] = beside.used.get(name, 0.0) + seconds
    run.stage.settle()
    for _ in range(IDLE):
        asking.batch(idle)
    for what in idle:
        pair = statistics.median(loaded[what]), statistics.median(idle[what])
        beside.rounds.setdefault(what, []).append(pair)
        beside.loaded[what] += loaded[what]
        beside.idle[what] += idle[what]


def _none() -> Asked:
    return {IMAGE: [], LIST: []}


def _asking(cloud: Cloud) -> Asking:
    client = cloud.client(imports.TENANT)
    ids = [imaging.create(client, name=f'{n}') for n in range(LISTED)]
    token = cloud.keystone.session(imports.TENANT).get_token()
    return Asking(
        latency.Client(cloud.port, {'X-Auth-Token': str(token)}),
        {
            IMAGE: f'/v2/images/{ids[0]}',
            LIST: f'/v2/images?limit={LISTED}',
        },
    )


def _warm_up(run: parts.Run, cloud: Cloud, asking: Asking) -> None:
    """Have both workers load the code for imports and for conversions."""
    small = images.make(run.directory, 16 * images.MIB)[0]
    for _ in range(4):
        with imports.staged(cloud, small, raw=True) as job:
            job.run()
    for _ in range(4):
        asking.batch(_none())


@contextlib.contextmanager
def _waiting(
    cloud: Cloud, image: images.Image
) -> Iterator[Callable[[], None]]:
    """Conversions that wait; gives what to call for them to begin."""
    with contextlib.ExitStack() as stack:
        held = stack.enter_context(contextlib.ExitStack())
        held.enter_context(holding.no_slots(cloud, AT_ONCE))
        for _ in range(CONVERSIONS):
            job = stack.enter_context(imports.staged(cloud, image, True))
            job.start()
            support.await_true(
                lambda job=job: len(job.tasks()) == 2, 'its copy waits'
            )
        support.await_true(
            lambda: not support.importing(cloud), 'all is imported'
        )
        time.sleep(bed.SETTLE)
        yield held.close


def _ask_beside(cloud: Cloud, asking: Asking, into: Asked) -> None:
    """Ask until conversions end; keep what was answered while all ran."""
    support.await_true(lambda: _all_run(cloud), 'conversions run')
    while True:
        ran, batch = _all_run(cloud), _none()
        asking.batch(batch)
        if ran and _all_run(cloud):
            for what, seconds in batch.items():
                into[what] += seconds
        if not ran and not holding.converting(cloud):
            break
    if not all(into.values()):
        raise ProcessError('no conversions ran')


def _all_run(cloud: Cloud) -> bool:
    return len(holding.converting(cloud)) == AT_ONCE


def report(
    run: parts.Run, beside: Beside, at_most: float | None = None
) -> None:
    where = f'beside {AT_ONCE} conversions, {beside.way}'
    for what in beside.loaded:
        loaded, idle = (
            [1000 * seconds for seconds in asked[what]]
            for asked in (beside.loaded, beside.idle)
        )
        run.add(what, loaded, 'ms', where)
        run.add(what, idle, 'ms', f'idle, {beside.way}')
        for name, middle in (('median', statistics.median), ('p95', _p95)):
            run.compare(
                Comparison(
                    f'{what}, {name}: {where} / idle',
                    '',
                    middle(loaded) / middle(idle),
                    spread=within(*zip(*beside.rounds[what], strict=True))
                    if name == 'median'
                    else None,
                    at_most=at_most,
                )
            )
    run.add(f'{CONVERSIONS} conversions', beside.took, image=beside.way)
    for name, seconds in beside.used.items():
        used = seconds / sum(beside.took)
        run.add(f'cores used by {name}', [used], 'cores', where)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
