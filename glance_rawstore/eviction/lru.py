# SPDX-License-Identifier: Apache-2.0
"""``lru``: first the least recently used copy. Core: pure."""

from collections.abc import Sequence

from glance_rawstore.eviction import base


class LeastRecentlyUsed(base.Policy):
    """By when a copy was last handed to a consumer.

    To be made counts as a use: a new copy has yet to get its first consumer.
    """

    def rank(
        self,
        candidates: Sequence[base.Candidate],
        usage: base.Usage,
        now: float,
    ) -> list[base.Candidate]:
        """All of them, the one that was used longest ago first."""
        return sorted(candidates, key=lambda copy: (_used(copy), copy.rbd_id))


def _used(copy: base.Candidate) -> float:
    return max(copy.created, copy.last_used or 0.0)
