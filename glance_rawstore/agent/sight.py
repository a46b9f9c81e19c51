# SPDX-License-Identifier: Apache-2.0
"""What was seen of one raw pool at one moment: values only. Core.

Sizes are in bytes, times in seconds since the epoch.
"""

import dataclasses
from collections.abc import Mapping

from glance_rawstore.lifecycle import attempts
from glance_rawstore.lifecycle.budget import Budget
from glance_rawstore.lifecycle.tally import Tally


@dataclasses.dataclass(frozen=True)
class Pending:
    """A ``.part``.

    :param attended: a living worker has the lease on it, or is about to
    :param created: None when it is gone by now
    """

    image_id: str
    attended: bool
    created: float | None


@dataclasses.dataclass(frozen=True)
class Trashed:
    """A copy in the RBD trash."""

    image_id: str
    rbd_id: str
    deleted: float


@dataclasses.dataclass(frozen=True)
class Failing:
    """Images whose copy could not be made, by what will become of them.

    :param refused: how many are not tried again before they are changed
    :param given_up: ids of those of which the same holds after
        ``retry_limit`` attempts
    :param retried: how many are tried again
    """

    refused: int = 0
    given_up: tuple[str, ...] = ()
    retried: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """How many of each."""
        return {
            'refused': self.refused,
            'given_up': len(self.given_up),
            'retried': self.retried,
        }


@dataclasses.dataclass(frozen=True)
class Sight:
    """What was seen.

    :param active: how many active copies there are
    :param active_bytes: that they use
    :param trashed_bytes: that trashed copies use
    :param evicted: images whose copy was evicted, and is wished for
    :param budget: None without a limit
    :param handed_over: conversions that wait for an agent
    :param agents: that are there, on any node
    """

    active: int
    active_bytes: int
    pending: tuple[Pending, ...]
    trashed: tuple[Trashed, ...]
    trashed_bytes: int
    failing: Failing
    evicted: int
    budget: Budget | None
    handed_over: int
    agents: int
    tally: Tally

    @property
    def running(self) -> int:
        """How many ``.part`` a living worker is at."""
        return sum(part.attended for part in self.pending)

    @property
    def unattended(self) -> int:
        """How many ``.part`` no worker is at."""
        return len(self.pending) - self.running

    @property
    def oldest_pending(self) -> float | None:
        """Since when the oldest ``.part`` is there; None without any."""
        found = [p.created for p in self.pending if p.created is not None]
        return min(found, default=None)

    @property
    def oldest_trashed(self) -> float | None:
        """Since when a copy is in the trash; None without any."""
        return min((t.deleted for t in self.trashed), default=None)


def failing(
    known: Mapping[str, attempts.Attempts],
    at_work: frozenset[str],
    retry_limit: int,
) -> Failing:
    """Sort what is known of attempts.

    :param at_work: ids of images at whose copies somebody is: an attempt
        counts when it begins
    """
    found = {i: v for i, v in known.items() if i not in at_work}
    tried = {i: v.count for i, v in found.items() if not v.refused}
    given_up = sorted(i for i, n in tried.items() if n >= retry_limit)
    return Failing(
        refused=len(found) - len(tried),
        given_up=tuple(given_up),
        retried=len(tried) - len(given_up),
    )
