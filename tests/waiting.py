# SPDX-License-Identifier: Apache-2.0
"""Wait for what happens elsewhere, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import Any

#: In seconds; far above what anything awaited takes, on any machine: a test
#: that passes does not get slower by it.
DEADLINE = 180.0


def pause(seconds: float) -> None:
    """Let time pass where that itself is what matters."""
    threading.Event().wait(seconds)


def eventually(
    condition: Callable[[], Any],
    what: str,
    seconds: float = DEADLINE,
    between: float = 0.01,
) -> Any:
    """Ask until the answer is true, and return that.

    :param between: seconds between two times
    :raises AssertionError: naming what was awaited in vain
    """
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f'not within {seconds:g} s: {what}'
        pause(between)
    return answer
