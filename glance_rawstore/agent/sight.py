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

    :param refused: not tried again before they are changed
    :param given_up: the same, after ``retry_limit`` attempts
    :param retried: tried again
    """

    refused: int = 0
    given_up: int = 0
    retried: int = 0


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
    :param given_up: ids of the images whose copies are given up
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
    given_up: tuple[str, ...] = ()

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
    found = [v for image_id, v in known.items() if image_id not in at_work]
    refused = sum(v.refused for v in found)
    count = len(given_up(known, at_work, retry_limit))
    return Failing(refused, count, len(found) - refused - count)


def given_up(
    known: Mapping[str, attempts.Attempts],
    at_work: frozenset[str],
    retry_limit: int,
) -> tuple[str, ...]:
    """Ids of the images that are given up; parameters of :func:`failing`."""
    return tuple(
        sorted(
            image_id
            for image_id, v in known.items()
            if image_id not in at_work
            and not v.refused
            and v.count >= retry_limit
        )
    )
