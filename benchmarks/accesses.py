# SPDX-License-Identifier: Apache-2.0
"""A made-up cloud's use of its images: what is cloned, and when.

Nobody has published such a trace. What is known of clouds, and is in this
one: few images have most of the uses, by Zipf's law; new releases take the
place of old ones, so that what is popular drifts; sizes differ by a factor of
a hundred; most servers live for hours, some for months; and some come by the
dozen. The same seed gives the same trace.
"""

from __future__ import annotations

import bisect
import dataclasses
import itertools
import math
import random

GIB = 1 << 30
MINUTE = 60.0
HOUR = 60 * MINUTE
DAY = 24 * HOUR

#: Images in all, and those that are there from the first day on.
IMAGES = 1_000
AT_FIRST = 400
#: Days in which the others come one by one.
DAYS = 60
#: Uses, of which each is one clone.
USES = 60_000
#: Exponent of Zipf's law: the image of rank n has a weight of 1 / n ** this.
ZIPF = 0.9
#: Share of the uses that come by the dozen, and how many there are at once.
IN_BURSTS = 0.3
BURST = (10, 50)
#: Seconds within which those of a burst come.
_TOGETHER = 2 * MINUTE
#: Bytes that a copy uses: log-normal, within bounds.
_SIZE_MEDIAN, _SIZE_SIGMA = 3 * GIB, 1.0
_SIZES = (GIB // 4, 60 * GIB)
#: Seconds that a clone lives: log-normal, about its median. With this one in
#: a hundred lives for 33 times as long.
_LIFE_SIGMA = 1.5
#: Ranks that change places with any other each day.
_SWAPS = 10


@dataclasses.dataclass(frozen=True)
class Image:
    """An image for which a copy is wished.

    :param size: bytes that its copy uses
    :param created: when it is there, in seconds
    """

    name: str
    size: int
    created: float


@dataclasses.dataclass(frozen=True)
class Use:
    """Somebody wants a clone.

    :param at: when, in seconds
    :param image: its place among the images
    :param life: seconds for which the clone lives
    """

    at: float
    image: int
    life: float


@dataclasses.dataclass(frozen=True)
class Trace:
    """Images in the order of their creation, uses in that of time."""

    images: tuple[Image, ...]
    uses: tuple[Use, ...]

    @property
    def size(self) -> int:
        """Bytes that copies of all images use."""
        return sum(image.size for image in self.images)

    @property
    def end(self) -> float:
        """When the last use is, in seconds."""
        return self.uses[-1].at


def make(
    seed: int = 1,
    uses: int = USES,
    median_life: float = 6 * HOUR,
    images: int = IMAGES,
) -> Trace:
    """Make a trace up.

    :param median_life: of clones, in seconds; 0 for clones that need nothing
        of their image as soon as they are there, as flattened ones
    """
    dice = random.Random(seed)
    made = tuple(_images(dice, images))
    moments = sorted(dice.uniform(0, DAYS * DAY) for _ in range(uses))
    found = list(_uses(dice, made, moments, median_life))
    found.sort(key=lambda use: use.at)
    return Trace(made, tuple(found[:uses]))


def _images(dice: random.Random, count: int) -> list[Image]:
    at_first = count * AT_FIRST // IMAGES
    moments = [0.0] * at_first + sorted(
        dice.uniform(0, DAYS * DAY) for _ in range(count - at_first)
    )
    return [
        Image(f'image-{number:04}', _size(dice), moment)
        for number, moment in enumerate(moments)
    ]


def _size(dice: random.Random) -> int:
    size = int(dice.lognormvariate(math.log(_SIZE_MEDIAN), _SIZE_SIGMA))
    return min(max(size, _SIZES[0]), _SIZES[1])


def _uses(
    dice: random.Random,
    images: tuple[Image, ...],
    moments: list[float],
    median_life: float,
) -> list[Use]:
    ranking = _Ranking(dice, images)
    found: list[Use] = []
    skip = 0
    for moment in moments:
        if skip:
            skip -= 1  # a burst has had its share of the uses
            continue
        image = ranking.draw(moment)
        together = [moment]
        mean = sum(BURST) / 2
        if dice.random() < IN_BURSTS / mean / (1 - IN_BURSTS):
            count = dice.randint(*BURST)
            skip = count - 1
            together += [
                moment + dice.uniform(0, _TOGETHER) for _ in range(skip)
            ]
        found += [Use(at, image, _life(dice, median_life)) for at in together]
    return found


def _life(dice: random.Random, median: float) -> float:
    if not median:
        return 0.0
    return dice.lognormvariate(math.log(median), _LIFE_SIGMA)


class _Ranking:
    """Images by how popular they are, as time goes by."""

    def __init__(self, dice: random.Random, images: tuple[Image, ...]) -> None:
        self._dice = dice
        self._images = images
        self._next = 0
        self._day = 0.0
        self._order: list[int] = []
        self._weights = list(
            itertools.accumulate(
                1 / rank**ZIPF for rank in range(1, len(images) + 1)
            )
        )

    def draw(self, moment: float) -> int:
        """The image that somebody wants now."""
        self._come(moment)
        while self._day < moment:
            self._day += DAY
            self._drift()
        most = self._weights[len(self._order) - 1]
        drawn = self._dice.uniform(0, most)
        return self._order[bisect.bisect_left(self._weights, drawn)]

    def _come(self, moment: float) -> None:
        """New images take any rank; those below go down by one."""
        while (
            self._next < len(self._images)
            and self._images[self._next].created <= moment
        ):
            place = self._dice.randint(0, len(self._order))
            self._order.insert(place, self._next)
            self._next += 1

    def _drift(self) -> None:
        for _ in range(_SWAPS):
            one, other = (
                self._dice.randrange(len(self._order)) for _ in range(2)
            )
            order = self._order
            order[one], order[other] = order[other], order[one]
