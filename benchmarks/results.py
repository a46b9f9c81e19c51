# SPDX-License-Identifier: Apache-2.0
"""What was measured, as plain values, and its JSON."""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.comparisons import Comparison
from benchmarks.evictions import Ratio
from benchmarks.footprint import Footprint
from benchmarks.images import Image
from benchmarks.latency import Latency
from benchmarks.passes import Agents


@dataclasses.dataclass(frozen=True)
class Timing:
    """How long one thing took, each time.

    :param seconds: in the order of the rounds
    """

    row: str
    image: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


@dataclasses.dataclass(frozen=True)
class Measured:
    """What a part measured, each time.

    :param image: or whatever else it was done with
    :param values: in the order of the rounds
    :param unit: of the values: 'seconds', 'bytes' or any other word
    """

    what: str
    image: str
    values: tuple[float, ...]
    unit: str = 'seconds'

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclasses.dataclass
class Result:
    """All of one run.

    :param machine: see machine.facts()
    :param clones: median seconds, see clones.measure()
    :param volumes: see volumes.measure()
    :param measured: by parts that need nothing else of their own
    :param comparisons: that parts have made
    """

    machine: dict[str, Any]
    repeat: int
    images: Sequence[Image]
    timings: list[Timing] = dataclasses.field(default_factory=list)
    footprints: list[Footprint] = dataclasses.field(default_factory=list)
    clones: dict[str, float] = dataclasses.field(default_factory=dict)
    latencies: Sequence[Latency] = ()
    volumes: list[Timing] = dataclasses.field(default_factory=list)
    agents: Agents = dataclasses.field(default_factory=Agents)
    evictions: Sequence[Ratio] = ()
    measured: list[Measured] = dataclasses.field(default_factory=list)
    comparisons: list[Comparison] = dataclasses.field(default_factory=list)

    def add(self, image: Image, seconds: dict[str, float]) -> None:
        """Add what a contestant took in one round."""
        for row, taken in seconds.items():
            before = self.find(row, image.name)
            if before is None:
                self.timings.append(Timing(row, image.name, (taken,)))
                continue
            index = self.timings.index(before)
            self.timings[index] = dataclasses.replace(
                before, seconds=(*before.seconds, taken)
            )

    def find(self, row: str, image: str) -> Timing | None:
        """Return how long it took, or None if it was not timed."""
        for timing in self.timings:
            if (timing.row, timing.image) == (row, image):
                return timing
        return None

    def footprint(self, who: str, image: str) -> Footprint | None:
        """Return what it cost the node, or None if nobody looked."""
        for found in self.footprints:
            if (found.who, found.image) == (who, image):
                return found
        return None

    def as_dict(self) -> dict[str, Any]:
        """For a program; the names carry the units."""
        return {
            'machine': self.machine,
            'repeat': self.repeat,
            'images': {
                image.name: {
                    'data_bytes': image.data,
                    'virtual_bytes': image.virtual,
                    'file_bytes': image.size,
                }
                for image in self.images
            },
            'seconds': {
                image.name: {
                    timing.row: _seconds(timing)
                    for timing in self.timings
                    if timing.image == image.name
                }
                for image in self.images
            },
            'clone_median_seconds': {
                what: round(taken, 4) for what, taken in self.clones.items()
            },
            'footprint_bytes': [
                dataclasses.asdict(found) for found in self.footprints
            ],
            'volume_seconds': {
                image.name: {
                    timing.row: _seconds(timing)
                    for timing in self.volumes
                    if timing.image == image.name
                }
                for image in self.images
            },
            'latency_seconds': {
                f'{found.what}, {found.who}': {
                    'with': _spread(found.with_filter),
                    'without': _spread(found.without),
                }
                for found in self.latencies
            },
            'agent_passes': [
                {
                    'what': found.what,
                    'copies': found.copies,
                    'seconds': _spread(found.seconds, 3),
                    'operations': list(found.operations),
                }
                for found in self.agents.passes
            ],
            'agent_memory_bytes': {
                f'{copies} copies': size
                for copies, size in self.agents.memory.items()
            },
            'eviction_ratios': [
                {k: _rounded(v) for k, v in dataclasses.asdict(found).items()}
                for found in self.evictions
            ],
            'measured': [
                {
                    'what': found.what,
                    'image': found.image,
                    'unit': found.unit,
                    'values': [_rounded(value) for value in found.values],
                }
                for found in self.measured
            ],
        }


def _rounded(value: Any) -> Any:
    return round(value, 4) if isinstance(value, float) else value


def _seconds(timing: Timing) -> dict[str, Any]:
    return {
        **_spread(timing.seconds, 3),
        'rounds': [round(taken, 3) for taken in timing.seconds],
    }


def _spread(seconds: Sequence[float], digits: int = 5) -> dict[str, float]:
    return {
        'median': round(statistics.median(seconds), digits),
        'min': round(min(seconds), digits),
        'max': round(max(seconds), digits),
    }


def dump(content: dict[str, Any]) -> str:
    """Return JSON as it is written to files."""
    return json.dumps(content, indent=2) + '\n'
