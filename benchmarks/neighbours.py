# SPDX-License-Identifier: Apache-2.0
"""How long Glance takes to answer while conversions run, and while none do.

Conversions are kept waiting, by holding their slots, until as many wait as
are needed; then they run, as many at once as may. Beside writes that nobody
converts, as many bytes in a second, Glance is asked as well: that part is the
cluster's, which gives way to nobody.
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
from benchmarks import parts
from benchmarks import plain_writes
from benchmarks.beside import IMAGE
from benchmarks.beside import LIST
from benchmarks.beside import Asked
from benchmarks.beside import Beside
from benchmarks.beside import none
from benchmarks.beside import report
from benchmarks.client import Client
from benchmarks.comparisons import Comparison
from tests.cloud import Cloud
from tests.cloud import imaging
from tests.functional import holding
from tests.functional import support
from tests.processes import ProcessError

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

#: Seconds after which conversions are not waited for any more.
TIMEOUT = 600

#: As conversions run unless set otherwise.
USUAL = 'nice 19'

#: What else writes as many bytes in a second as conversions do.
WRITES = 'plain writes'


def ours(_options: argparse.Namespace) -> Sequence[str]:
    return (bed.OURS,)


@dataclasses.dataclass
class Asking:
    """Asks one Glance, in turn for all that is asked for."""

    client: Client
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
    asking = _prepare(run)
    ours, plain = conversions(USUAL), Beside(WRITES, f'beside {WRITES}')
    for number in range(run.result.repeat):
        run.say(f'round {number + 1}: conversions')
        _round(run, asking, ours)
        run.say(f'round {number + 1}: plain writes')
        rate = CONVERSIONS * run.images[-1].data / ours.took[-1]
        _plain_round(run, asking, plain, rate)
    report_conversions(run, ours, AT_MOST)
    report(run, plain)
    for what in ours.loaded:
        loaded = [statistics.median(b.loaded[what]) for b in (ours, plain)]
        run.compare(
            Comparison(
                f'{what}, median: {ours.where} / {plain.where}',
                '',
                loaded[0] / loaded[1],
            )
        )


def conversions(way: str) -> Beside:
    """One way to convert, of which nothing is known yet."""
    return Beside(way, f'beside {AT_ONCE} conversions, {way}')


def report_conversions(
    run: parts.Run, ours: Beside, at_most: float | None = None
) -> None:
    """Put one way to convert into the result."""
    report(run, ours, at_most)
    run.add(f'{CONVERSIONS} conversions', ours.took, image=ours.way)


def measure(
    run: parts.Run, ways: Sequence[str], choose: Callable[[str], Any]
) -> list[Beside]:
    """Ask while conversions run and while none do, each way in each round.

    :param choose: has conversions run in one of these ways from now on
    """
    asking = _prepare(run)
    found = [conversions(way) for way in ways]
    for number in range(run.result.repeat):
        first = number % len(found)
        for beside in found[first:] + found[:first]:
            run.say(f'round {number + 1}: {beside.way}')
            choose(beside.way)
            _round(run, asking, beside)
    return found


def _round(run: parts.Run, asking: Asking, beside: Beside) -> None:
    cloud = run.stage.clouds[bed.OURS]
    idle, loaded = none(), none()
    for _ in range(IDLE):
        asking.batch(idle)
    with _waiting(cloud, run.images[-1]) as begin:
        before, start = cores.used(), time.monotonic()
        begin()
        _ask_beside(cloud, asking, loaded)
        beside.note_used(before, start)
    run.stage.settle()
    for _ in range(IDLE):
        asking.batch(idle)
    beside.note(loaded, idle)


def _plain_round(
    run: parts.Run, asking: Asking, beside: Beside, rate: float
) -> None:
    """Ask beside writes of so many bytes/s, for a while."""
    idle, loaded = none(), none()
    for _ in range(IDLE):
        asking.batch(idle)
    with plain_writes.running(run.stage, AT_ONCE, rate):
        time.sleep(bed.SETTLE)
        before, start = cores.used(), time.monotonic()
        for _ in range(2 * IDLE):
            asking.batch(loaded)
        beside.note_used(before, start)
    run.stage.settle()
    for _ in range(IDLE):
        asking.batch(idle)
    beside.note(loaded, idle)


def _prepare(run: parts.Run) -> Asking:
    cloud = run.stage.clouds[bed.OURS]
    asking = _asking(cloud)
    _warm_up(run, cloud, asking)
    return asking


def _asking(cloud: Cloud) -> Asking:
    client = cloud.client(imports.TENANT)
    ids = [imaging.create(client, name=f'{n}') for n in range(LISTED)]
    token = cloud.keystone.session(imports.TENANT).get_token()
    return Asking(
        Client(cloud.port, {'X-Auth-Token': str(token)}),
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
        asking.batch(none())


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
    until = time.monotonic() + TIMEOUT
    while True:
        ran, batch = _all_run(cloud), none()
        asking.batch(batch)
        if ran and _all_run(cloud):
            for what, seconds in batch.items():
                into[what] += seconds
        # Nobody converts for a moment when those that ran have ended at once.
        if not ran and not holding.converting(cloud) and _all_made(cloud):
            break
        if time.monotonic() > until:
            raise ProcessError('conversions do not end')
    if not all(into.values()):
        raise ProcessError('no conversions ran')


def _all_run(cloud: Cloud) -> bool:
    return len(holding.converting(cloud)) == AT_ONCE


def _all_made(cloud: Cloud) -> bool:
    names = support.Pool(cloud).names()
    return sum(name.endswith('_raw') for name in names) == CONVERSIONS
