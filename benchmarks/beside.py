# SPDX-License-Identifier: Apache-2.0
"""How long Glance took to answer beside something, and while idle."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Mapping, Sequence

from benchmarks import cores
from benchmarks import parts
from benchmarks.comparisons import Comparison
from benchmarks.comparisons import within

#: What is asked for, in turn.
IMAGE, LIST = 'GET image', 'GET 20 images'

#: Seconds of each answer, by what was asked for.
Asked = dict[str, list[float]]


def none() -> Asked:
    """Nothing was asked yet."""
    return {IMAGE: [], LIST: []}


@dataclasses.dataclass
class Beside:
    """What came of one way to convert; times in seconds.

    :param way: in a word or two
    :param where: that it was asked, for the table
    :ivar loaded: of what was asked while conversions ran
    :ivar idle: of what was asked before and after, while none did
    :ivar rounds: median of the one and of the other in each round
    :ivar used: of processors, by program, while conversions ran
    :ivar took: from the first conversion's begin to the last one's end
    """

    way: str
    where: str
    loaded: Asked = dataclasses.field(default_factory=none)
    idle: Asked = dataclasses.field(default_factory=none)
    rounds: dict[str, list[tuple[float, float]]] = dataclasses.field(
        default_factory=dict
    )
    used: dict[str, float] = dataclasses.field(default_factory=dict)
    took: list[float] = dataclasses.field(default_factory=list)

    def note(self, loaded: Asked, idle: Asked) -> None:
        """Take in what was asked in a round."""
        for what in idle:
            pair = [statistics.median(asked[what]) for asked in (loaded, idle)]
            self.rounds.setdefault(what, []).append((pair[0], pair[1]))
            self.loaded[what] += loaded[what]
            self.idle[what] += idle[what]

    def note_used(self, before: Mapping[str, float], since: float) -> None:
        """Take in who was busy since a moment of the monotonic clock."""
        self.took.append(time.monotonic() - since)
        for name, seconds in cores.since(before).items():
            self.used[name] = self.used.get(name, 0.0) + seconds


def report(
    run: parts.Run, beside: Beside, at_most: float | None = None
) -> None:
    for what in beside.loaded:
        loaded, idle = (
            [1000 * seconds for seconds in asked[what]]
            for asked in (beside.loaded, beside.idle)
        )
        run.add(what, loaded, 'ms', beside.where)
        run.add(what, idle, 'ms', f'idle, {beside.way}')
        for name, middle in (('median', statistics.median), ('p95', _p95)):
            run.compare(
                Comparison(
                    f'{what}, {name}: {beside.where} / idle',
                    '',
                    middle(loaded) / middle(idle),
                    spread=within(*zip(*beside.rounds[what], strict=True))
                    if name == 'median'
                    else None,
                    at_most=at_most,
                )
            )
    for name, seconds in beside.used.items():
        used = seconds / sum(beside.took)
        run.add(f'cores used by {name}', [used], 'cores', beside.where)


def _p95(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
