# SPDX-License-Identifier: Apache-2.0
"""What an image's properties ask for. Core: pure functions."""

from collections.abc import Mapping

from oslo_utils import strutils

from glance_rawstore import exceptions
from glance_rawstore import formats

#: A tenant's wish for a raw copy.
PROPERTY = 'raw_cache'
#: A tenant's weight for the copy's location.
WEIGHT_PROPERTY = 'raw_cache_weight'
#: Whether a copy is never evicted; anything but a plain yes is a no.
PROTECTED_PROPERTY = 'raw_cache_protected'


def wanted(properties: Mapping[str, str], default: bool = False) -> bool:
    """Whether a raw copy is asked for.

    :param default: what an absent property means
    :raises InvalidProperty: the value is not a boolean
    """
    value = properties.get(PROPERTY)
    if value is None:
        return default
    try:
        return bool(strutils.bool_from_string(value, strict=True))
    except ValueError as exc:
        raise exceptions.InvalidProperty(
            f'The property {PROPERTY} must be true or false, not '
            f'{_shown(value)}.'
        ) from exc


def by_default(
    enabled: bool, disk_format: str | None, container_format: str | None
) -> bool:
    """Whether an image that does not mention a copy is to have one.

    :param enabled: the option ``raw_cache_default``
    """
    return enabled and formats.convertible(disk_format, container_format)


def mentioned(properties: Mapping[str, str], default: bool = False) -> bool:
    """Whether there is anything to tell the tenant: a wish, or a bad one."""
    try:
        return wanted(properties, default)
    except exceptions.InvalidProperty:
        return True


def protected(properties: Mapping[str, str]) -> bool:
    """Whether the copy is never to be evicted."""
    value = properties.get(PROTECTED_PROPERTY, '')
    return bool(strutils.bool_from_string(value))


def weight(properties: Mapping[str, str], default: int) -> int:
    """Weight of the copy's location.

    :param default: the store's own, when the image names none
    :raises InvalidProperty: the value is not a whole number
    """
    value = properties.get(WEIGHT_PROPERTY)
    if value is None:
        return default
    try:
        return int(value)
    except ValueError as exc:
        raise exceptions.InvalidProperty(
            f'The property {WEIGHT_PROPERTY} must be a whole number, not '
            f'{_shown(value)}.'
        ) from exc


def _shown(value: str) -> str:
    return repr(value if len(value) <= 40 else value[:40] + '...')
