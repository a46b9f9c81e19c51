# SPDX-License-Identifier: Apache-2.0
"""What an eviction policy is. Core: pure.

A policy only ranks. Which of the copies may be evicted at all (none with
clones, none that is protected) is found out after it, one after the other
from the first of its list on, until the low watermark is reached: to ask for
the clones of every copy would take a store of thousands minutes.
"""

import abc
import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Candidate:
    """An active copy. Times are seconds since the epoch.

    :param rbd_id: internal id of its RBD image
    :param bytes_used: what evicting it frees, in bytes
    :param created: when it was made
    :param last_used: when it was last handed to a consumer; None for never,
        as far as is known
    :param score: number of uses, each of which decays
    :param scored_at: the time for which the score holds
    """

    image_id: str
    rbd_id: str
    bytes_used: int
    created: float
    last_used: float | None
    score: float
    scored_at: float


@dataclasses.dataclass(frozen=True)
class Usage:
    """How much of a store's budget is used, in bytes.

    :param used: by all copies, those included that are no candidates
    :param limit: the budget
    :param high: the watermark above which copies are evicted
    :param low: the watermark at which that ends
    """

    used: int
    limit: int
    high: int
    low: int


class Policy(abc.ABC):
    """Decides in which order copies are evicted.

    :param half_life: seconds in which a use loses half of its weight
        (``raw_cache_use_half_life``)
    """

    def __init__(self, half_life: float) -> None:
        self.half_life = half_life

    @abc.abstractmethod
    def rank(
        self, candidates: Sequence[Candidate], usage: Usage, now: float
    ) -> list[Candidate]:
        """Put candidates in the order in which to evict them.

        One that is left out is kept. The answer depends on nothing but the
        arguments, and not on their order: several agents may ask at once.

        :param now: seconds since the epoch
        """
