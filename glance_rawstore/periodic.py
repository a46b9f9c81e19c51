# SPDX-License-Identifier: Apache-2.0
"""Do something now and then, beside what takes long."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator

LOG = logging.getLogger(__name__)

#: Name of the thread.
THREAD = 'rawstore-periodic'


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
