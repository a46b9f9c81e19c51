# SPDX-License-Identifier: Apache-2.0
"""``oldest``: first the copy that was made first. Core: pure."""

from collections.abc import Sequence

from glance_rawstore.eviction import base


class Oldest(base.Policy):
    """By age alone, whatever is used; needs no use counts."""

    def rank(
        self,
        candidates: Sequence[base.Candidate],
        usage: base.Usage,
        now: float,
    ) -> list[base.Candidate]:
        """All of them, the oldest first."""
        return sorted(candidates, key=lambda copy: (copy.created, copy.rbd_id))
