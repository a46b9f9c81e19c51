# SPDX-License-Identifier: Apache-2.0
"""The configured stores, and whether their set-up can work.

:func:`read` looks at the configuration, :func:`check` judges what it found.
"""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from oslo_config import cfg

from glance_rawstore import ceph
from glance_rawstore import exceptions

#: Name of our driver in ``enabled_backends``.
DRIVER = 'rawrbd'

#: Store weight of a raw store that sets none: below every default (0).
DEFAULT_STORE_WEIGHT = -1000


@dataclasses.dataclass(frozen=True)
class Store:
    """One entry of ``enabled_backends``.

    :param driver: its driver's name, such as ``rbd`` or ``file``
    :param weight: the store's own weight in Glance
    :param settings: how to reach its pool; None unless it lies in RBD
    """

    name: str
    driver: str
    weight: int
    settings: ceph.Settings | None = None

    @property
    def rbd(self) -> ceph.Settings:
        """How to reach its pool.

        :raises BadSetup: it does not lie in RBD
        """
        if self.settings is None:
            raise exceptions.BadSetup(f'Store {self.name} is not in RBD.')
        return self.settings

    @property
    def is_raw(self) -> bool:
        """Whether it is a store of raw copies."""
        return self.driver == DRIVER


def option(
    conf: cfg.ConfigOpts, group: str, name: str, default: Any = None
) -> Any:
    """An option with the fall-back that glance_store gives to stores.

    What an operator has written wins over any registered default.

    :param default: for one that is not set, or not even registered
    """
    fallbacks = []
    for source in (group, 'backend_defaults'):
        try:
            value = conf[source][name]
        except (KeyError, cfg.NoSuchOptError):
            continue
        if value is None:
            continue
        origin = conf.get_location(name, source)
        if origin is not None and origin.location.is_user_controlled:
            return value
        fallbacks.append(value)
    return fallbacks[0] if fallbacks else default


def _settings(conf: cfg.ConfigOpts, group: str) -> ceph.Settings:
    return ceph.Settings(
        conf_file=option(conf, group, 'rbd_store_ceph_conf', ''),
        user=option(conf, group, 'rbd_store_user'),
        pool=option(conf, group, 'rbd_store_pool', 'images'),
        timeout=option(conf, group, 'rados_connect_timeout', -1),
    )


def read(conf: cfg.ConfigOpts) -> dict[str, Store]:
    """The stores of ``enabled_backends`` in their order, by name.

    Glance's own reserved stores are left out. Options must be registered
    (``glance_store.register_store_opts``).
    """
    found = {}
    # A copy: other threads put the reserved ones into this very dictionary,
    # whenever glance_store looks for a store (multi_backend.py).
    for name, driver in dict(conf.enabled_backends or {}).items():
        if name.startswith('os_glance_'):
            continue
        usual = DEFAULT_STORE_WEIGHT if driver == DRIVER else 0
        weight = option(conf, name, 'weight', usual)
        in_rbd = driver in (DRIVER, 'rbd')
        settings = _settings(conf, name) if in_rbd else None
        found[name] = Store(name, driver, weight, settings)
    return found


def raw_stores(stores: Mapping[str, Store]) -> list[Store]:
    """Those stores that hold raw copies."""
    return [store for store in stores.values() if store.is_raw]


def check(
    raw: str,
    stores: Mapping[str, Store],
    default_backend: str | None,
    same_cluster: Callable[[ceph.Settings, ceph.Settings], bool],
) -> None:
    """Refuse set-ups in which data would be lost or mixed up.

    :param raw: name of the raw store to judge
    :param same_cluster: tells whether two settings reach one cluster; asked
        only of stores whose pools have the same name
    :raises BadSetup: saying what to change
    """
    if raw == default_backend:
        raise exceptions.BadSetup(
            f'The raw store {raw} is the default_backend, but it holds '
            'copies only: name a store of originals in [glance_store] '
            'default_backend.'
        )
    for other in stores.values():
        if other.name != raw:
            _check_pair(stores[raw], other, same_cluster)


def _check_pair(
    raw: Store,
    other: Store,
    same_cluster: Callable[[ceph.Settings, ceph.Settings], bool],
) -> None:
    if not other.is_raw and raw.weight >= other.weight:
        raise exceptions.BadSetup(
            f'The weight of the raw store {raw.name} ({raw.weight}) is not '
            f'below that of store {other.name} ({other.weight}), so Glance '
            'would read originals from it: set a smaller weight in '
            f'[{raw.name}] or a larger one in [{other.name}].'
        )
    if raw.settings is None or other.settings is None:
        return
    if raw.settings.pool == other.settings.pool and same_cluster(
        raw.settings, other.settings
    ):
        raise exceptions.BadSetup(
            f'The raw store {raw.name} shares the pool '
            f'{raw.settings.pool} with store {other.name}; Glance would take '
            'one for the other: give it a pool of its own with '
            f'rbd_store_pool in [{raw.name}].'
        )


def same_cluster(one: ceph.Settings, other: ceph.Settings) -> bool:
    """Whether two settings reach one cluster; yes if that cannot be told."""
    if one.conf_file == other.conf_file:
        return True
    try:
        return ceph.fsid(one) == ceph.fsid(other)
    except exceptions.RawStoreError:
        return True
