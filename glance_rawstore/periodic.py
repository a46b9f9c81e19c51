# SPDX-License-Identifier: Apache-2.0
"""Do something now and then, beside what takes long."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

LOG = logging.getLogger(__name__)

#: Name of the thread.
THREAD = 'rawstore-periodic'
#: Seconds between two notes of how far a conversion is.
INTERVAL = 2.0
#: Seconds that a note under way is waited for: a cluster that is away gives
#: no answer.
_PATIENCE = 5.0


@contextlib.contextmanager
def every(
    interval: float,
    call: Callable[[], object],
    patience: float | None = None,
    level: int = logging.WARNING,
) -> Iterator[None]:
    """Call something, from a thread of its own, while the context lasts.

    :param interval: seconds from the end of one call to the next one
    :param call: its errors are logged, and it is called again
    :param patience: seconds that a call under way is waited for at the end;
        None for as long as it takes, so that none is under way afterwards
    :param level: at which errors are logged
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(interval):
            attempt(call, level)

    thread = threading.Thread(target=run, name=THREAD, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(patience)


def attempt(call: Callable[[], object], level: int = logging.WARNING) -> None:
    """Call it once; an error is only logged."""
    try:
        call()
    except Exception as exc:
        LOG.log(level, 'Progress was not noted: %s', exc)


class _Percent:
    """Notes the percent done, if it has changed."""

    def __init__(self, note: Callable[[int], None]) -> None:
        self._note = note
        self._done = 0.0
        self._noted: int | None = None

    def update(self, done: float) -> None:
        self._done = done

    def __call__(self) -> None:
        percent = int(self._done * 100)
        if percent != self._noted:
            self._note(percent)
            self._noted = percent


@contextlib.contextmanager
def noting(note: Callable[[int], None]) -> Iterator[Callable[[float], None]]:
    """Note the percent done every :data:`INTERVAL`, if it has changed.

    :param note: called with whole percents, 0 to 100, from a thread of its
        own; nothing depends on it, so its errors are for debugging only
    :returns: context manager of what takes the part done, 0.0 to 1.0, and
        never blocks
    """
    percent = _Percent(note)
    with every(INTERVAL, percent, _PATIENCE, logging.DEBUG):
        yield percent.update
