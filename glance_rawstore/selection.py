# SPDX-License-Identifier: Apache-2.0
"""Choose among an image's locations: pure functions, for clients too.

A location here is a mapping as the Images API shows it: ``url`` and
``metadata``. This module imports nothing of Glance or Ceph.

**The rule for one status from many.** An image is as available as its most
available location: one ``active`` location makes the whole ``active``;
without one, a location that is being made (``uploading``, then ``pending``)
says that data is coming; without any of those ``pending_delete`` says that
data is still there but going; ``deleted`` is what is left. No location at
all counts as ``deleted``, and a location that names no status is an ordinary
one, hence ``active``.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Location = Mapping[str, Any]

#: Statuses from most to least available. ``uploading`` is Glance's own word
#: for a location that its parallel import is filling (glance 33).
AVAILABILITY = ('active', 'uploading', 'pending', 'pending_delete', 'deleted')

#: What a location weighs that says nothing about it.
DEFAULT_WEIGHT = 0.0


def _number(value: Any) -> float | None:
    """A finite number from a metadata value, or None."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return None
    return number if abs(number) != float('inf') and number == number else None


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def weight(location: Location, node: str | None = None) -> float:
    """How much a location weighs for a node.

    The node's own entry in ``node-weights`` wins over ``weight``; what is
    missing or not a number counts as :data:`DEFAULT_WEIGHT`.

    :param node: name of the node that asks, None for no particular one
    """
    metrics = _mapping(_mapping(location.get('metadata')).get('metrics'))
    for_node = _mapping(metrics.get('node-weights'))
    for value in (for_node.get(node) if node else None, metrics.get('weight')):
        number = _number(value)
        if number is not None:
            return number
    return DEFAULT_WEIGHT


def order(
    locations: Iterable[Location], node: str | None = None
) -> list[Location]:
    """Order locations heaviest first; equal weights keep their order."""
    return sorted(locations, key=lambda loc: weight(loc, node), reverse=True)


def status(location: Location) -> str:
    """The status that a location carries; ``active`` when it carries none."""
    value = _mapping(location.get('metadata')).get('status')
    return value if isinstance(value, str) else 'active'


def derive_status(statuses: Sequence[str]) -> str:
    """Derive one status from many, by the rule above.

    :raises ValueError: for a status that is not in :data:`AVAILABILITY`
    """
    unknown = sorted(set(statuses) - set(AVAILABILITY))
    if unknown:
        known = ', '.join(AVAILABILITY)
        raise ValueError(f'unknown status {unknown[0]!r}; known are {known}')
    return min(statuses, key=AVAILABILITY.index, default='deleted')
