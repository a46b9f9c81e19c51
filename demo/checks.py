# SPDX-License-Identifier: Apache-2.0
"""Nothing is claimed that was not looked at."""

from __future__ import annotations

from typing import Any

from demo.screen import Screen


class Unexpected(Exception):
    """Something is not as the demo says."""


def expect(screen: Screen, true: bool, claim: str, seen: Any = None) -> None:
    """Print a claim that is true.

    :param seen: what there is instead, for the message
    :raises Unexpected: it is not true
    """
    if not true:
        instead = '' if seen is None else f'\nThis was seen: {seen}'
        raise Unexpected(f'Not so: {claim}{instead}')
    screen.checked(claim)
