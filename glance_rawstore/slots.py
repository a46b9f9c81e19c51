# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once on one node, over all its processes.

A slot is a locked file. The kernel drops the lock of a process that dies.
The lock is flock(2)'s, which holds between threads as well; that of
fcntl(2), which libraries use, holds between processes only.
"""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from typing import IO

#: Seconds between tries for a slot.
_RETRY = 1.0
#: Locked, shared, by everybody who waits for a slot.
_WAITING = 'raw-conversion-waiting.lock'


def _try(directory: str, count: int) -> IO[bytes] | None:
    for number in range(count):
        path = os.path.join(directory, f'raw-conversion-{number}.lock')
        file = open(path, 'ab')  # noqa: SIM115 - closing it is the release
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
        else:
            return file
    return None


@contextlib.contextmanager
def _waiting(directory: str) -> Iterator[None]:
    """Let others see that somebody waits for a slot."""
    with open(os.path.join(directory, _WAITING), 'ab') as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def _nobody_waits(directory: str) -> bool:
    with open(os.path.join(directory, _WAITING), 'ab') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def at_once(directory: str, count: int) -> IO[bytes] | None:
    """A slot that is free, and that nobody waits for; None without one.

    :param directory: as for :func:`slot`, as ``count``
    :returns: to be closed when it is not needed any more
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return _try(directory, count) if _nobody_waits(directory) else None


@contextlib.contextmanager
def slot(
    directory: str, count: int, wait: Callable[[float], None]
) -> Iterator[None]:
    """Hold one of this node's slots for as long as the context lasts.

    :param directory: shared by all processes of the node; created if missing
    :param count: how many slots there are
    :param wait: sleeps that many seconds; ends the waiting by raising
    """
    os.makedirs(directory, mode=0o700, exist_ok=True)
    file = _try(directory, count)
    if file is None:
        with _waiting(directory):
            while (file := _try(directory, count)) is None:
                wait(_RETRY)
    with file:
        yield
