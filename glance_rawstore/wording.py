# SPDX-License-Identifier: Apache-2.0
"""How quantities and names are told to people, wherever they are."""

from collections.abc import Sequence

import humanize


def size(count: float) -> str:
    """Bytes for people, in binary units: ``1.1 GiB``."""
    return str(humanize.naturalsize(count, binary=True, format='%.1f'))


def some(names: Sequence[str], most: int) -> str:
    """The first of these, and dots if there are more: ``a, b, ...``.

    :param most: how many are named
    """
    return ', '.join([*names[:most], *(['...'] if names[most:] else [])])


def printable(text: str) -> str:
    """What somebody else may have made up, for a terminal or a log.

    A request's id is whatever its sender says, and what is none of ours has
    any name; either may hold what moves the cursor, or another line.
    """
    return text if text.isprintable() else ascii(text)
