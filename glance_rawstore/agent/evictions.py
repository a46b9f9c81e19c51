# SPDX-License-Identifier: Apache-2.0
"""What an eviction that is noted means for an image's copy. Core: pure."""

from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.policy import Wish


def holds(facts: Facts) -> bool:
    """Whether the copy was evicted, and nobody has asked for it since.

    An operator's order is as good as a consumer's.
    """
    noted = facts.evicted
    if noted is None or facts.ordered:
        return False
    return not noted.is_over(facts.asked)


def unfinished(facts: Facts, wished: Wish) -> bool:
    """Whether the eviction was begun, and is to be finished.

    Not that of a copy which was cloned meanwhile: it would free nothing.
    """
    noted, copy = facts.evicted, facts.copy
    if noted is None or copy is None or not holds(facts):
        return False
    return (
        copy.rbd_id == noted.rbd_id
        and not copy.in_use
        and wished != Wish.UNWANTED
    )
