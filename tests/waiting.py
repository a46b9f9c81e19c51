# SPDX-License-Identifier: Apache-2.0
"""Wait for what happens elsewhere, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import Any

#: In seconds; far above what anything awaited takes.
DEADLINE = 20.0


def pause(seconds: float) -> None:
    """Let time pass where that itself is what matters."""
    threading.Event().wait(seconds)


def eventually(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE
) -> Any:
    """Ask until the answer is true, and return that.

    :raises AssertionError: naming what was awaited in vain
    """
    end = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < end, f'not within {seconds:g} s: {what}'
        pause(0.01)
    return answer
