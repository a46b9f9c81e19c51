# SPDX-License-Identifier: Apache-2.0
"""Glance's internals in a process that is not glance-api."""

from collections.abc import Sequence

import glance.notifier
import glance_store
from glance.common import config as glance_config
from glance_store import exceptions as store_exceptions
from oslo_config import cfg

from glance_rawstore import ceph
from glance_rawstore import exceptions

#: As in ``glance.common.wsgi_app``, which starts too much when imported.
_RESERVED = {
    'os_glance_staging_store': 'file',
    'os_glance_tasks_store': 'file',
}


def configure(files: Sequence[str]) -> cfg.ConfigOpts:
    """Make this process one in which Glance's internals work.

    As glance-api does when it starts (``glance.common.wsgi_app.init_app``).

    :param files: paths of Glance's configuration
    :raises BadSetup: the configuration, or a store's, cannot be used
    """
    conf: cfg.ConfigOpts = cfg.CONF
    glance_config.set_config_defaults()
    glance.notifier.set_defaults()
    try:
        conf([], project='glance', default_config_files=list(files))
        glance_store.register_store_opts(conf, reserved_stores=_RESERVED)
        with ceph.reaching('a ceph.conf, a key or a pool of a store'):
            glance_store.create_multi_stores(conf, reserved_stores=_RESERVED)
        glance_store.verify_store()
    except (cfg.Error, store_exceptions.GlanceStoreException) as exc:
        raise exceptions.BadSetup(
            f'Glance does not start with this configuration: {exc}'
        ) from exc
    return conf
