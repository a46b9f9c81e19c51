# SPDX-License-Identifier: Apache-2.0
"""Glance's configuration as its processes read it, from text."""

import textwrap
from pathlib import Path

import glance_store
from oslo_config import cfg

RESERVED = {'os_glance_staging_store': 'file', 'os_glance_tasks_store': 'file'}

USUAL = """
    [DEFAULT]
    enabled_backends = ceph:rbd,raw:rawrbd
    [glance_store]
    default_backend = ceph
    [ceph]
    rbd_store_pool = images
    [raw]
    rbd_store_pool = images_raw
"""


def read(
    directory: Path, text: str = USUAL, reserved: bool = False
) -> cfg.ConfigOpts:
    """Read it from a file.

    :param reserved: with the stores that glance-api adds by itself
    """
    path = directory / 'glance-api.conf'
    path.write_text(textwrap.dedent(text))
    conf = cfg.ConfigOpts()
    conf.register_opt(cfg.DictOpt('enabled_backends', default={}))
    conf([], project='glance', default_config_files=[str(path)])
    # The call adds the reserved ones to what it is given.
    glance_store.register_store_opts(
        conf, reserved_stores=dict(RESERVED) if reserved else None
    )
    return conf
