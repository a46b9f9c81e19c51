# SPDX-License-Identifier: Apache-2.0
"""Wait for what happens elsewhere, with a deadline."""

import threading
import time
from collections.abc import Callable
from typing import Any

#: In seconds; far above what anything awaited takes.
DEADLINE = 20.0


def eventually(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE
) -> Any:
    """Ask until the answer is true, and return that.

    :raises AssertionError: naming what was awaited in vain
    """
    end = time.monotonic() + seconds
    pause = threading.Event()
    while not (answer := condition()):
        assert time.monotonic() < end, f'not within {seconds:g} s: {what}'
        pause.wait(0.01)
    return answer
