# SPDX-License-Identifier: Apache-2.0
"""``popularity``: first the copy that few consumers ask for. Core: pure."""

from collections.abc import Sequence

from glance_rawstore.eviction import base
from glance_rawstore.lifecycle import uses


class Popularity(base.Policy):
    """By how often a copy was handed out, where older uses count for less.

    To be made counts as one use. A clone is one when it is made; while it
    lives no policy can evict the copy.
    """

    def rank(
        self,
        candidates: Sequence[base.Candidate],
        usage: base.Usage,
        now: float,
    ) -> list[base.Candidate]:
        """All of them, the least popular first."""
        return sorted(
            candidates,
            key=lambda copy: (
                self._popularity(copy, now),
                max(copy.created, copy.last_used or 0.0),
                copy.rbd_id,
            ),
        )

    def _popularity(self, copy: base.Candidate, now: float) -> float:
        used = uses.decayed(copy.score, now - copy.scored_at, self.half_life)
        made = uses.decayed(1.0, now - copy.created, self.half_life)
        return used + made
