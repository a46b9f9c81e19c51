# SPDX-License-Identifier: Apache-2.0
"""Kinds of arguments that several commands take."""

import argparse
import re

_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
#: Seconds that somebody may wait: ten years. Python sleeps for centuries at
#: most.
_LONGEST = 315_360_000
_DURATION = re.compile(r'(\d+)([smhd])')


def seconds(text: str) -> float:
    """A number of seconds, more than none."""
    value = float(text)
    if not 0 < value <= _LONGEST:
        raise argparse.ArgumentTypeError(
            f'must be more than 0 seconds, and {_LONGEST} at most'
        )
    return value


def duration(text: str) -> float:
    """A time such as 30m or 2d, in seconds."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError('must be a time such as 30m, 2h, 1d')
    return float(match[1]) * _UNITS[match[2]]


def count(text: str) -> int:
    """A whole number, at least 1."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError('must be at least 1')
    return value


def port(text: str) -> int:
    """A TCP port, or 0 for none."""
    value = int(text)
    if not 0 <= value <= 65535:
        raise argparse.ArgumentTypeError('must be from 0 to 65535')
    return value
