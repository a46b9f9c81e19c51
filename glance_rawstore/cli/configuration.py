# SPDX-License-Identifier: Apache-2.0
"""Read Glance's configuration without Glance."""

import contextlib
import logging
import os
from collections.abc import Iterator, Sequence

import glance_store
from oslo_config import cfg

from glance_rawstore import exceptions
from glance_rawstore import store as driver
from glance_rawstore import stores


def files(given: Sequence[str] | None) -> list[str]:
    """Paths of the configuration of glance-api.

    :param given: paths, or None to look where glance-api looks
    """
    if given:
        return list(given)
    directory = os.environ.get('OS_GLANCE_CONFIG_DIR')
    if directory:
        return [os.path.join(directory, 'glance-api.conf')]
    return list(cfg.find_config_files(project='glance', prog='glance-api'))


@contextlib.contextmanager
def told() -> Iterator[None]:
    """Say what is wrong with an option, which is seen when it is read.

    :raises BadSetup: it is
    """
    try:
        yield
    except cfg.Error as exc:
        raise exceptions.BadSetup(
            f'The configuration cannot be read: {exc}'
        ) from exc


def load(given: Sequence[str] | None) -> cfg.ConfigOpts:
    """Read the configuration of glance-api.

    :param given: paths, or None to look where glance-api looks
    :raises BadSetup: there is none, or it cannot be read
    """
    found = files(given)
    if not found:
        raise exceptions.BadSetup(
            'No configuration of Glance was found; name it with --config-file.'
        )
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.DictOpt('enabled_backends', default={}))
    try:
        conf([], project='glance', default_config_files=found)
        logging.getLogger('stevedore').setLevel(logging.CRITICAL)
        glance_store.register_store_opts(conf)
    except (cfg.Error, OSError) as exc:
        raise exceptions.BadSetup(
            f'The configuration cannot be read: {exc}'
        ) from exc
    conf.register_opts(driver.Store.OPTIONS, group='backend_defaults')
    # As glance_store does it: what a store does not set, all of them share.
    for name, kind in conf.enabled_backends.items():
        if kind in ('rbd', stores.DRIVER):
            conf.register_opts(driver.Store.OPTIONS, group=name)
            for option in driver.Store.OPTIONS:
                conf.set_default(option.dest, None, group=name)
    return conf


def raw_store(given: Sequence[str] | None, name: str | None) -> stores.Store:
    """The raw store that is meant.

    :param given: paths of configuration files, or None
    :param name: the store's name; None where there is only one
    :raises BadSetup: it is not configured, or there are several
    """
    conf = load(given)
    with told():
        found = {s.name: s for s in stores.raw_stores(stores.read(conf))}
    if not found:
        raise exceptions.BadSetup(
            'enabled_backends names no store with the driver '
            f'{stores.DRIVER}, as in "enabled_backends = '
            f'ceph:rbd,raw:{stores.DRIVER}".'
        )
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name in found:
        return found[name]
    choice = ', '.join(found)
    raise exceptions.BadSetup(
        f'Name one of the raw stores by --store: {choice}.'
    )
