# SPDX-License-Identifier: Apache-2.0
"""What to do about one image, from what is known of it. Core: pure.

Carrying a plan out and planning again gives an empty plan. Only what is
named like a copy can become a fact, so a plan never touches what else lies
in the raw pool: Nova's snapshots, somebody's only original.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from glance_rawstore import formats
from glance_rawstore.agent import evictions
from glance_rawstore.agent import remains
from glance_rawstore.agent import workers
from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Copy
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.facts import Part
from glance_rawstore.agent.policy import Policy
from glance_rawstore.agent.policy import Wish
from glance_rawstore.agent.policy import metadata
from glance_rawstore.agent.policy import wish

#: Seconds that a changed image is left alone, so that the import's own
#: conversion comes first.
SETTLE = 5.0
#: Seconds in which whoever has created a ``.part`` takes the lease on it; and
#: by how much clocks may differ.
TAKING = 5.0
#: Statuses of images whose locations may be changed.
_SETTLED = frozenset({'active', 'deactivated'})


def plan(facts: Facts, policy: Policy, now: float) -> list[Action]:
    """Everything to do about one image, in the order in which to do it.

    :param now: seconds since the epoch
    """
    if facts.damaged is not None:
        return []
    if facts.known:
        found = _Plan(facts, policy, now).actions()
    else:
        found = list(remains.of_unknown(facts))
    return [*remains.reaping(facts), *found, *remains.uses(facts)]


class _Plan:
    """The plan for one image that Glance knows."""

    def __init__(self, facts: Facts, policy: Policy, now: float) -> None:
        self._facts = facts
        self._policy = policy
        self._now = now
        image = facts.image
        self._wish = wish(image, policy) if image else Wish.UNWANTED
        self._evicted = evictions.holds(facts)
        self._evicting = evictions.unfinished(facts, self._wish)
        self._due = self._when_to_try()
        self._stays = self._copy_stays()
        part = facts.part
        leased, dead = _split(part, now)
        self._deletes = not self._stays and (
            (facts.copy is not None and not self._evicting)
            or (leased and self._wish == Wish.UNWANTED)
        )
        self._leased = leased
        self._working = leased and not self._deletes
        # A dead worker's .part is kept for the next attempt, if there is one.
        self._pending = self._working or (
            dead
            and not self._stays
            and not self._deletes
            and self._due is not None
        )

    def _when_to_try(self) -> float | None:
        """When a copy may be made, seconds since the epoch; None for never."""
        image, policy = self._facts.image, self._policy
        if (
            image is None
            or not self._asked_for
            or not policy.makes
            or self._evicted
            or image.status != 'active'
            or not image.has_data
            or image.disk_format in formats.ALREADY_RAW
        ):
            return None
        due = policy.retry.after(self._facts.attempts, policy.version(image))
        return None if due is None else max(due, image.updated_at + SETTLE)

    @property
    def _asked_for(self) -> bool:
        """Whether there is a wish, or an order where nothing is said."""
        if self._wish == Wish.ABSENT:
            return self._facts.ordered
        return self._wish != Wish.UNWANTED

    def _copy_stays(self) -> bool:
        """Whether there is an active copy when all is done."""
        part = self._facts.part
        found: Copy | Part | None = self._facts.copy
        if found is None and part is not None and not part.leased:
            found = part if part.whole else None
        if found is None or self._wish == Wish.UNWANTED or self._evicting:
            return False
        return self._wish != Wish.ABSENT or not found.by_wish

    def _action(self, kind: Kind, reason: str, target: str = '') -> Action:
        return Action(kind, self._facts.image_id, reason, target)

    def actions(self) -> list[Action]:
        return [
            *self._part(),
            *self._locations(),
            *self._copy(),
            *self._tasks(),
            *remains.notes(self._facts, self._outlook()),
            *self._conversion(),
        ]

    def _why_not(self) -> str:
        if self._facts.image is None:
            return 'the image was deleted'
        if self._evicted and self._wish in (Wish.WANTED, Wish.UNREADABLE):
            return 'it was evicted'
        return 'no copy is wanted any more'

    def _part(self) -> Iterator[Action]:
        facts = self._facts
        if facts.part is None or self._leased or self._pending:
            return
        if self._stays and facts.copy is None:
            yield self._action(
                Kind.COMMIT,
                'all of it was written before its worker died',
                facts.part.rbd_id,
            )
        else:
            yield self._action(
                Kind.CLEAR_PART,
                'its worker died while it was written',
                facts.part.rbd_id,
            )

    def _locations(self) -> Iterator[Action]:
        facts = self._facts
        if facts.image is None or facts.image.status not in _SETTLED:
            return
        if self._stays:
            wanted = metadata(facts.image, self._policy, facts.rows)
            if facts.rows != (wanted,):
                yield self._action(Kind.PUT_LOCATION, self._wrong(wanted))
        elif facts.rows and not self._pending:
            reason = 'there is no copy'
            if facts.copy is not None:
                reason = self._why_not()
            yield self._action(Kind.REMOVE_LOCATION, reason)

    def _wrong(self, wanted: Mapping[str, Any]) -> str:
        rows = self._facts.rows
        if not rows:
            return 'the copy is active and its location was lost'
        if len(rows) > 1:
            return f'the copy has {len(rows)} locations'
        if rows[0].get('status') != wanted['status']:
            return f'the copy is {wanted["status"]}, its location says not'
        if rows[0].get('metrics') != wanted['metrics']:
            return 'the wish for its weight has changed'
        return 'it does not say what it should'

    def _copy(self) -> Iterator[Action]:
        facts = self._facts
        if self._deletes:
            yield self._action(Kind.DELETE, self._why_not())
        elif self._evicting and facts.copy is not None:
            reason = 'its eviction was begun and not finished'
            yield self._action(Kind.EVICT, reason, facts.copy.rbd_id)

    @property
    def _awaited(self) -> bool:
        """Whether a copy will be made, now or later."""
        return self._due is not None and not self._stays

    @property
    def _later(self) -> bool:
        """Whether it is too early to make a copy that will be made."""
        return self._due is not None and self._due > self._now

    def _tasks(self) -> Iterator[Action]:
        if self._working:
            return
        handed_over = self._facts.handed_over
        for task in self._facts.tasks:
            if task.task_id == handed_over and self._awaited:
                continue
            if self._converts() and task == workers.continued(self._facts):
                continue
            if task.idle <= workers.ORPHANED and task.task_id != handed_over:
                continue
            if self._stays:
                yield self._action(
                    Kind.SUCCEED_TASK,
                    'its worker died when the copy was ready',
                    task.task_id,
                )
            else:
                yield self._action(
                    Kind.FAIL_TASK, 'its worker died', task.task_id
                )

    def _outlook(self) -> remains.Outlook:
        return remains.Outlook(
            stays=self._stays,
            working=self._working,
            awaited=self._awaited,
            asked_for=self._asked_for,
            failed=self._later and self._facts.attempts is not None,
            why_not=self._why_not(),
        )

    def _converts(self) -> bool:
        """Whether a copy is to be made now."""
        image = self._facts.image
        if image is None or self._due is None or self._later:
            return False
        if self._stays or self._working or image.importing:
            return False
        return not workers.another_is_at_it(self._facts)

    def _conversion(self) -> Iterator[Action]:
        if not self._converts():
            return
        known = self._facts.attempts
        reason = 'a copy is wanted'
        if self._facts.ordered:
            reason = 'an operator has ordered it'
        if self._facts.handed_over and not self._facts.ordered:
            reason = 'a worker or an operator has handed it over'
        elif self._facts.evicted is not None:
            reason = 'it was evicted, and was asked for since'
        elif known is not None:
            reason = f'attempt {known.count + 1}, after: {known.error}'
        task = workers.continued(self._facts)
        yield self._action(
            Kind.CONVERT, reason, task.task_id if task is not None else ''
        )


def _split(part: Part | None, now: float) -> tuple[bool, bool]:
    """Whether there is a living worker's ``.part``, or a dead one's."""
    if part is None:
        return False, False
    leased = part.leased or being_taken(part.untaken, now)
    return leased, not leased


def being_taken(created: float | None, now: float) -> bool:
    """Whether who has created a ``.part`` may be about to take its lease.

    :param created: None where it is not one that nobody has taken
    """
    return created is not None and abs(now - created) < TAKING
