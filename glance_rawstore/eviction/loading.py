# SPDX-License-Identifier: Apache-2.0
"""Find an eviction policy by its name, ours or somebody else's."""

from importlib import metadata
from typing import Any

from stevedore import driver
from stevedore import exception

from glance_rawstore import exceptions
from glance_rawstore.eviction import base

#: Group of entry points, each of them a subclass of :class:`base.Policy`.
NAMESPACE = 'glance_rawstore.eviction'


def installed() -> list[str]:
    """Names of the policies that there are, in the order of the alphabet."""
    return sorted(metadata.entry_points(group=NAMESPACE).names)


def load(name: str, half_life: float) -> base.Policy:
    """The policy of that name.

    :param half_life: seconds in which a use loses half of its weight
    :raises BadSetup: there is none, or it cannot be used
    """
    try:
        found: driver.DriverManager[Any] = driver.DriverManager(
            NAMESPACE, name, on_load_failure_callback=_refuse
        )
    except exception.NoMatches as exc:
        names = ', '.join(installed())
        raise exceptions.BadSetup(
            f'raw_cache_eviction_policy: there is no policy {name!r}; '
            f'installed are: {names}.'
        ) from exc
    except exception.MultipleMatches as exc:
        raise exceptions.BadSetup(
            f'raw_cache_eviction_policy: several packages bring a policy '
            f'{name!r}; remove all but one of them.'
        ) from exc
    return _made(name, found.driver, half_life)


def _refuse(_manager: Any, entry_point: Any, exc: BaseException) -> None:
    raise exceptions.BadSetup(
        f'raw_cache_eviction_policy: {entry_point.value} cannot be loaded: '
        f'{exc}'
    ) from exc


def _made(name: str, found: Any, half_life: float) -> base.Policy:
    if not (isinstance(found, type) and issubclass(found, base.Policy)):
        raise exceptions.BadSetup(
            f'raw_cache_eviction_policy: {name!r} is no subclass of '
            f'{base.Policy.__module__}.{base.Policy.__name__}.'
        )
    try:
        return found(half_life)
    except TypeError as exc:
        raise exceptions.BadSetup(
            f'raw_cache_eviction_policy: {name!r} cannot be used: {exc}'
        ) from exc
