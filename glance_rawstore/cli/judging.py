# SPDX-License-Identifier: Apache-2.0
"""Whether all is well, from what was seen. Core: pure."""

import dataclasses
import enum
from collections.abc import Iterable, Iterator, Mapping

from glance_rawstore import wording
from glance_rawstore.agent.sight import Sight
from glance_rawstore.lifecycle.budget import Budget

#: Part of what a pool can hold. Beyond the high watermark that a budget of
#: all of it has, and close to where Ceph refuses to write.
_NEARLY_FULL, _FULL = 0.95, 0.99

#: How many images a finding names.
_NAMED = 3


class Level(enum.IntEnum):
    """As monitoring knows them: the exit status of a check."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that is not well.

    :param text: a sentence's beginning, for a line of several
    """

    level: Level
    text: str


@dataclasses.dataclass(frozen=True)
class Limits:
    """From when on something is not well. Times in seconds.

    :param agents: that are to be there at least
    :param stuck: how long a copy may be pending that nobody is at, or
        trashed though nothing uses it: warning, and critical
    :param given_up: images whose copy was given up: warning
    """

    agents: int
    stuck: tuple[float, float]
    given_up: int


@dataclasses.dataclass(frozen=True)
class Condition:
    """What was seen of one raw store. Times in seconds.

    :param sight: None where the user may not see it
    :param rights: what its cephx user needs, and whether it may
    :param unreaped: of each trashed copy that nothing uses: how long
    :param space: bytes stored in the pool, and that it can hold; None where
        Ceph does not tell
    :param damaged: images of trashed copies that cannot be opened
    """

    sight: Sight | None
    rights: Mapping[str, bool]
    unreaped: tuple[float, ...]
    space: tuple[int, int] | None = None
    damaged: tuple[str, ...] = ()


def duration(seconds: float) -> str:
    """Seconds in the largest unit that they fill."""
    for unit, length in (('d', 86400), ('h', 3600), ('min', 60)):
        if seconds >= length:
            return f'{seconds / length:.0f} {unit}'
    return f'{seconds:.0f} s'


def judge(seen: Condition, limits: Limits, now: float) -> list[Finding]:
    """Everything that is not well, the worst first.

    :param now: seconds since the epoch
    """
    found = [*_rights(seen.rights), *_unreaped(seen.unreaped, limits)]
    found += [*_damaged(seen.damaged), *_space(seen.space)]
    if seen.sight is not None:
        found += _agents(seen.sight, limits)
        found += _pending(seen.sight, limits, now)
        found += _given_up(seen.sight, limits)
        found += _budget(seen.sight.budget)
    return sorted(found, key=lambda finding: -finding.level)


def worst(findings: list[Finding]) -> Level:
    """The level of all of them."""
    return max((f.level for f in findings), default=Level.OK)


def _rights(rights: Mapping[str, bool]) -> Iterator[Finding]:
    for name, granted in rights.items():
        if not granted:
            yield Finding(Level.CRITICAL, f'the cephx user cannot {name}')


def _space(space: tuple[int, int] | None) -> Iterator[Finding]:
    """Near its end a pool takes no copy, and no note of one either."""
    if space is None:
        return
    stored, capacity = space
    part = stored / capacity if capacity else 1.0
    if part > _NEARLY_FULL:
        yield Finding(
            Level.CRITICAL if part > _FULL else Level.WARNING,
            f'the raw pool is {part:.0%} full',
        )


def _agents(sight: Sight, limits: Limits) -> Iterator[Finding]:
    if sight.agents >= limits.agents:
        return
    if sight.agents == 0:
        yield Finding(Level.CRITICAL, 'no agent is there')
    else:
        yield Finding(
            Level.WARNING,
            f'{sight.agents} of {limits.agents} agents are there',
        )


def _level(age: float, limits: Limits) -> Level:
    warning, critical = limits.stuck
    if age >= critical:
        return Level.CRITICAL
    return Level.WARNING if age >= warning else Level.OK


def _pending(sight: Sight, limits: Limits, now: float) -> Iterator[Finding]:
    ages = {
        part.image_id: now - part.created
        for part in sight.pending
        if not part.attended and part.created is not None
    }
    old = [i for i, age in ages.items() if _level(age, limits) > Level.OK]
    for found in _stuck(ages.values(), limits, 'pending without a worker'):
        yield Finding(
            found.level, f'{found.text}: {wording.some(old, _NAMED)}'
        )


def _unreaped(ages: tuple[float, ...], limits: Limits) -> Iterator[Finding]:
    yield from _stuck(ages, limits, 'deleted, unused and not reaped')


def _damaged(image_ids: tuple[str, ...]) -> Iterator[Finding]:
    count = len(image_ids)
    if count:
        copies = '1 copy' if count == 1 else f'{count} copies'
        named = wording.some(image_ids, _NAMED)
        yield Finding(
            Level.WARNING, f'{copies} in the trash cannot be opened: {named}'
        )


def _stuck(
    ages: Iterable[float], limits: Limits, what: str
) -> Iterator[Finding]:
    old = [age for age in ages if _level(age, limits) > Level.OK]
    if old:
        count = '1 copy' if len(old) == 1 else f'{len(old)} copies'
        yield Finding(
            _level(max(old), limits),
            f'{count} {what} for up to {duration(max(old))}',
        )


def _given_up(sight: Sight, limits: Limits) -> Iterator[Finding]:
    count = len(sight.failing.given_up)
    if count and 0 < limits.given_up <= count:
        images = '1 image' if count == 1 else f'{count} images'
        named = wording.some(sight.failing.given_up, _NAMED)
        yield Finding(
            Level.WARNING, f'the copies of {images} were given up: {named}'
        )


def _budget(budget: Budget | None) -> Iterator[Finding]:
    """Beyond its limit, what is new is refused."""
    if budget is not None and budget.limit and budget.taken > budget.limit:
        part = budget.taken / budget.limit
        yield Finding(Level.WARNING, f'{part:.0%} of the budget is used')


def line(findings: list[Finding], sight: Sight | None) -> str:
    """The one line that monitoring shows, with figures that it can plot."""
    level = worst(findings).name
    told = '; '.join(f.text for f in findings)
    if sight is None:
        return f'RAWSTORE {level} - {told}'
    told = told or (
        f'{sight.active} active, {len(sight.pending)} pending, '
        f'{len(sight.trashed)} waiting to be deleted'
    )
    plotted = {
        'active': sight.active,
        'pending': len(sight.pending),
        'pending_delete': len(sight.trashed),
        'size': f'{sight.active_bytes + sight.trashed_bytes}B',
        'agents': sight.agents,
    }
    figures = ' '.join(f'{name}={value}' for name, value in plotted.items())
    return f'RAWSTORE {level} - {told} | {figures}'
