# SPDX-License-Identifier: Apache-2.0
"""Kinds of arguments that several commands take."""

import argparse
import math
import re

_UNITS = {'s': 1, 'm': 60, 'h': 3600, 'd': 86400}
_DURATION = re.compile(r'(\d+)([smhd])')


def seconds(text: str) -> float:
    """A number of seconds, more than none."""
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError('must be more than 0 seconds')
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
