# SPDX-License-Identifier: Apache-2.0
"""What is left of images and copies that are gone. Core: pure."""

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


def of_unknown(facts: Facts) -> Iterator[Action]:
    """Of an image that Glance does not know: it may have another database.

    Then copies are left alone, but not what only says something about them.
    """
    reason = 'no such image is known'
    for kind, there in (
        (Kind.FORGET, facts.attempts),
        (Kind.TAKE, facts.handed_over),
        (Kind.FORGET_EVICTION, facts.evicted),
    ):
        if there is not None:
            yield Action(kind, facts.image_id, reason)


def uses(facts: Facts) -> Iterator[Action]:
    """Of an image that is gone: how often its copy was used."""
    if facts.used and facts.image is None:
        yield Action(
            Kind.FORGET_USES, facts.image_id, 'there is no such image any more'
        )
