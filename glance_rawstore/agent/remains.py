# SPDX-License-Identifier: Apache-2.0
"""What is left of images and copies that are gone. Core: pure."""

import dataclasses
from collections.abc import Iterator

from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Facts


def reaping(facts: Facts) -> Iterator[Action]:
    """Copies in the trash that nothing uses any more."""
    for trashed in facts.trashed:
        if not trashed.in_use:
            yield Action(
                Kind.REAP,
                facts.image_id,
                'it was deleted, and nothing uses it any more',
                trashed.rbd_id,
            )


@dataclasses.dataclass(frozen=True)
class Outlook:
    """What is going to be of an image's copy.

    :param stays: there is one when all is done
    :param working: a living worker makes one
    :param awaited: one will be made, now or later
    :param asked_for: by a wish, or by an order
    :param failed: none will be made for a while, since an attempt failed
    :param why_not: why there is none
    """

    stays: bool
    working: bool
    awaited: bool
    asked_for: bool
    failed: bool
    why_not: str


def _noted(facts: Facts) -> Iterator[Kind]:
    """What is noted in the raw pool, by what forgets it."""
    for kind, there in (
        (Kind.FORGET, facts.attempts is not None),
        (Kind.TAKE, facts.handed_over is not None),
        (Kind.FORGET_EVICTION, facts.evicted is not None),
        (Kind.FORGET_ORDER, facts.ordered),
    ):
        if there:
            yield kind


def of_unknown(facts: Facts) -> Iterator[Action]:
    """Of an image that Glance does not know: it may have another database.

    Then copies are left alone, but not what only says something about them.
    """
    for kind in _noted(facts):
        yield Action(kind, facts.image_id, 'no such image is known')


def notes(facts: Facts, outlook: Outlook) -> Iterator[Action]:
    """What is noted of an image, and not needed any more."""
    for kind in _noted(facts):
        reason = _reason(kind, facts, outlook)
        if reason:
            yield Action(kind, facts.image_id, reason)


def _reason(kind: Kind, facts: Facts, outlook: Outlook) -> str:
    """Why a note is not needed any more; empty where it is."""
    if kind == Kind.TAKE:
        return _taken(facts, outlook)
    if outlook.working and kind != Kind.FORGET_EVICTION:
        return ''  # the worker does, when it is done
    if outlook.stays:
        return 'the copy is there'
    return '' if outlook.asked_for else outlook.why_not


def _taken(facts: Facts, outlook: Outlook) -> str:
    if outlook.working or outlook.stays:
        return 'somebody has taken it'
    if not outlook.awaited:
        return outlook.why_not
    if facts.handed_over == '' and outlook.failed:
        return 'it failed, and is tried later'
    return ''


def uses(facts: Facts) -> Iterator[Action]:
    """Of an image that is gone: how often its copy was used."""
    if facts.used and facts.image is None:
        yield Action(
            Kind.FORGET_USES, facts.image_id, 'there is no such image any more'
        )
