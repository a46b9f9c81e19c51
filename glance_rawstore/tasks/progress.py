# SPDX-License-Identifier: Apache-2.0
"""What a tenant reads while a copy is being made."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

import humanize

LOG = logging.getLogger(__name__)

#: Seconds between two messages of a task.
INTERVAL = 1.0


def size(count: float) -> str:
    """Bytes for people, in binary units: ``1.1 GiB``."""
    return str(humanize.naturalsize(count, binary=True, format='%.1f'))


def duration(seconds: float) -> str:
    """Seconds for people: ``9 s``, ``2 min 5 s``, ``1 h 3 min``."""
    whole = max(0, round(seconds))
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {rest} s' if minutes else f'{rest} s'


def message(done: float, total: int, elapsed: float) -> str:
    """The message of a running conversion.

    :param done: part done, 0.0 to 1.0
    :param total: bytes of data that will be written
    :param elapsed: seconds since the start
    """
    written = done * total
    text = f'Converting to raw: {done:.0%} ({_of(written, total)} written'
    if done > 0 and elapsed > 0:
        rate = written / elapsed
        left = duration(elapsed / done - elapsed)
        text += f', {humanize.naturalsize(rate, binary=True, format="%.0f")}'
        text += f'/s, about {left} left'
    return text + ')'


def _of(part: float, whole: int) -> str:
    """``1.1 of 3.0 GiB``, naming the unit once where it is the same."""
    one, two = size(part), size(whole)
    if part == 0 or one.split()[-1] == two.split()[-1]:
        one = one.split()[0]
    return f'{one} of {two}'


class Reporter:
    """Tells a task every :data:`INTERVAL` how far its conversion is.

    :param report: called with the message; its errors are logged only, as
        no conversion fails because nobody could be told of it
    :param total: bytes of data that will be written
    """

    def __init__(self, report: Callable[[str], None], total: int) -> None:
        self._report = report
        self._total = total
        self._done = 0.0
        self._started = time.monotonic()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def update(self, done: float) -> None:
        """Note the part done, 0.0 to 1.0."""
        self._done = done

    def __enter__(self) -> 'Reporter':
        self._tell()
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._tell()

    def _tell(self) -> None:
        elapsed = time.monotonic() - self._started
        try:
            self._report(message(self._done, self._total, elapsed))
        except Exception as exc:
            LOG.warning('Progress could not be reported: %s', exc)
