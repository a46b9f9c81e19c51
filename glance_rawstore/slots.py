# SPDX-License-Identifier: Apache-2.0
"""How many conversions run at once on one node, over all its processes.

A slot is a locked file. The kernel drops the lock of a process that dies.
"""

import contextlib
import os
from collections.abc import Callable, Iterator

import fasteners

#: Seconds between tries for a slot.
_RETRY = 0.3


def _try(directory: str, count: int) -> fasteners.InterProcessLock | None:
    for number in range(count):
        path = os.path.join(directory, f'raw-conversion-{number}.lock')
        lock = fasteners.InterProcessLock(path)
        if lock.acquire(blocking=False):
            return lock
    return None


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
    while (lock := _try(directory, count)) is None:
        wait(_RETRY)
    try:
        yield
    finally:
        lock.release()
