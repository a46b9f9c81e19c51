# SPDX-License-Identifier: Apache-2.0
"""What a metric is, and how its figures are taken from what is known. Core."""

import dataclasses
import enum
import math
from collections.abc import Callable, Iterable, Mapping

from glance_rawstore.agent.passes import Pass
from glance_rawstore.agent.sight import Sight
from glance_rawstore.lifecycle import tally
from glance_rawstore.lifecycle.budget import Budget

PREFIX = 'glance_rawstore_'


class Kind(enum.StrEnum):
    """Types of Prometheus."""

    GAUGE = 'gauge'
    COUNTER = 'counter'
    HISTOGRAM = 'histogram'
    SUMMARY = 'summary'


class Source(enum.StrEnum):
    """Where a figure comes from."""

    POOL = 'what lies in the raw pool'
    TALLY = 'counted in the raw pool by every worker'
    GLANCE = "the agent's last reconcile pass"
    AGENT = 'this agent'


@dataclasses.dataclass(frozen=True)
class View:
    """All that is known.

    :param sight: None before the first look has succeeded
    :param queued: NaN before the first pass has
    """

    store: str
    version: str
    passes: Mapping[str, Pass]
    queued: float
    sight: Sight | None


@dataclasses.dataclass(frozen=True)
class Distribution:
    """Of a histogram, or of a summary if it has no buckets.

    :param buckets: upper bound and count of what is not above, growing
    """

    count: float
    total: float
    buckets: tuple[tuple[str, float], ...] = ()


#: The values of a metric's own labels, and the value.
Sample = tuple[tuple[str, ...], float | Distribution]


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric.

    :param name: with neither :data:`PREFIX` nor ``_total``
    :param labels: besides ``store``, which all have
    """

    name: str
    kind: Kind
    text: str
    source: Source
    samples: Callable[[View], Iterable[Sample]]
    labels: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """Its name, as it is queried; a histogram's has endings."""
        ending = '_total' if self.kind is Kind.COUNTER else ''
        return f'{PREFIX}{self.name}{ending}'


def one(
    value: Callable[[Sight], float | None],
) -> Callable[[View], list[Sample]]:
    """A single figure of what was seen; none where there is none."""

    def samples(view: View) -> list[Sample]:
        found = None if view.sight is None else value(view.sight)
        return [] if found is None else [((), float(found))]

    return samples


def of_budget(
    value: Callable[[Budget], float | None],
) -> Callable[[View], list[Sample]]:
    """A figure of the budget; none where there is none."""
    return one(
        lambda s: (
            None
            if s.budget is None or s.budget.limit is None
            else value(s.budget)
        )
    )


def each(
    values: Callable[[Sight], Mapping[str, float]],
) -> Callable[[View], list[Sample]]:
    """A figure for each value of one label."""

    def samples(view: View) -> list[Sample]:
        found = {} if view.sight is None else values(view.sight)
        return [((name,), float(value)) for name, value in found.items()]

    return samples


def of_passes(
    value: Callable[[Pass], float | Distribution],
) -> Callable[[View], list[Sample]]:
    """A figure of each kind of pass."""

    def samples(view: View) -> list[Sample]:
        return [((name,), value(p)) for name, p in view.passes.items()]

    return samples


def queued(view: View) -> list[Sample]:
    """Copies that wait for a free worker."""
    return [] if math.isnan(view.queued) else [((), view.queued)]


def durations(view: View) -> list[Sample]:
    """How long conversions took."""
    if view.sight is None:
        return []
    found = view.sight.tally
    bounds = (*(f'{bound:g}' for bound in tally.BUCKETS), '+Inf')
    buckets = tuple(zip(bounds, found.buckets, strict=True))
    return [((), Distribution(found.buckets[-1], found.seconds, buckets))]
