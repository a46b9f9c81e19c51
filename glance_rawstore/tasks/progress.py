# SPDX-License-Identifier: Apache-2.0
"""What a tenant reads while a copy is being made."""

import contextlib
import time
from collections.abc import Callable, Iterator

import humanize

from glance_rawstore import periodic
from glance_rawstore import turns
from glance_rawstore import wording

#: Seconds between two messages of a task.
INTERVAL = 1.0


def duration(seconds: float) -> str:
    """Seconds for people: ``9 s``, ``2 min 5 s``, ``1 h 3 min``."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def message(
    done: float, total: int, elapsed: float, resumed_at: float = 0.0
) -> str:
    """The message of a running conversion.

    :param done: part done, 0.0 to 1.0
    :param total: bytes of data that will be written
    :param elapsed: seconds since the start
    :param resumed_at: part that was done at the start, 0.0 to 1.0
    """
    written = done * total
    text = f'Converting to raw: {done:.0%} ({_of(written, total)} written'
    if resumed_at:
        text += f', resumed at {resumed_at:.0%}'
    here = done - resumed_at
    if here > 0 and elapsed > 0:
        rate = here * total / elapsed
        left = duration((1 - done) / here * elapsed)
        text += f', {humanize.naturalsize(rate, binary=True, format="%.0f")}'
        text += f'/s, about {left} left'
    return text + ')'


def _of(part: float, whole: int) -> str:
    """``1.1 of 3.0 GiB``, naming the unit once where it is the same."""
    one, two = wording.size(part), wording.size(whole)
    if part == 0 or one.split()[-1] == two.split()[-1]:
        one = one.split()[0]
    return f'{one} of {two}'


class Conversion:
    """How far a conversion is.

    :param total: bytes of data that will be written
    :param resumed_at: part that is done already, 0.0 to 1.0
    """

    def __init__(self, total: int, resumed_at: float = 0.0) -> None:
        self._total = total
        self._resumed_at = resumed_at
        self._done = resumed_at
        self._started = time.monotonic()

    def update(self, done: float) -> None:
        """Note the part done, 0.0 to 1.0."""
        self._done = done

    def __call__(self) -> str:
        """The message of now."""
        elapsed = time.monotonic() - self._started
        return message(self._done, self._total, elapsed, self._resumed_at)


class Elapsed:
    """A message for work of which only the time can be told.

    :param text: what is being done
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()

    def __call__(self) -> str:
        """The message of now."""
        return f'{self._text} ({duration(time.monotonic() - self._started)})'


class Turn:
    """A message for one that waits for its turn.

    :param text: for what it waits
    """

    #: Seconds until the next message, of those who are nearly next, of all
    #: others, and of those far behind. Each takes 7 ms of a core.
    NEAR, FAR, FARTHEST = 2.0, 10.0, 30.0

    def __init__(self, text: str) -> None:
        self._text = text
        self._started = time.monotonic()
        self._before = 0

    def update(self, before: int) -> None:
        """Note how many have their turn before."""
        self._before = before

    def __call__(self) -> str:
        """The message of now."""
        waited = duration(time.monotonic() - self._started)
        return f'{self._text}: {turns.place(self._before)} ({waited})'

    def interval(self) -> float:
        """Seconds until it is to be told again."""
        if self._before < 3:
            return self.NEAR
        return min(max(self.FAR, self._before / 10), self.FARTHEST)


@contextlib.contextmanager
def reporting(
    report: Callable[[str], None], text: Callable[[], str]
) -> Iterator[None]:
    """Tell a task something new at once, and then every :data:`INTERVAL`.

    A report under way is waited for: one that came late would overwrite how
    the task has ended.

    :param report: called with the message; its errors are logged only, as
        no conversion fails because nobody could be told of it
    :param text: gives the message of now
    """

    def tell() -> None:
        report(text())

    periodic.attempt(tell)
    with periodic.every(INTERVAL, tell):
        yield
