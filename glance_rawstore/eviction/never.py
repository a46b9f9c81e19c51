# SPDX-License-Identifier: Apache-2.0
"""``never``: keep every copy. Core: pure."""

from collections.abc import Sequence

from glance_rawstore.eviction import base


class Never(base.Policy):
    """Nothing is evicted; a full budget refuses new copies."""

    def rank(
        self,
        candidates: Sequence[base.Candidate],
        usage: base.Usage,
        now: float,
    ) -> list[base.Candidate]:
        """None of them."""
        return []
