# SPDX-License-Identifier: Apache-2.0
"""What everything is timed on: one cluster, and a Glance for each way.

All of them are up all the time and take turns, so a machine that slows down
slows them all.
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

from tests.cloud import Cloud
from tests.cloud import Keystone
from tests.cloud import config
from tests.cluster import Cluster

# The pool of what is timed without Glance.
POOL = 'bench'

# in seconds, for the daemons to finish what a run has left them
SETTLE = 2.0

ALONE = 'alone'
CONVERSION = 'conversion'
THIN = 'thin'
OURS = 'ours'
STAGED = 'staged'
USUAL = (OURS, ALONE, CONVERSION)

_CONVERT = {
    'image_import_opts': {'image_import_plugins': '[image_conversion]'},
    'image_conversion': {'output_format': 'raw'},
    # for the limits of its qemu-img, as sys.executable is uWSGI there
    'wsgi': {'python_interpreter': sys.executable},
}
# Options of each Glance. By default one stores a raw image's holes as zeros;
# the thin one does not, which is the least favourable comparison for us.
_OPTIONS: dict[str, dict[str, dict[str, Any]]] = {
    OURS: {},
    STAGED: {'glance_rawstore': {'convert_staged': 'always'}},
    ALONE: {},
    CONVERSION: _CONVERT,
    THIN: {**_CONVERT, 'ceph': {'rbd_thin_provisioning': True}},
}
# Those that have our store, plugin and filter.
WITH_US = frozenset({OURS, STAGED})
_QUIET = {'DEFAULT': {'debug': False}}


class Bed(contextlib.ExitStack):
    """The cluster and its Glances; gone when the context ends.

    :param glances: which, by the names above
    :param debug: let Glance log in detail, which costs it some time

    :ivar keystone: that all of them share
    :ivar clouds: the Glances, by the names above
    """

    def __init__(
        self, glances: Sequence[str] = USUAL, debug: bool = False
    ) -> None:
        super().__init__()
        self._names = glances
        self._log = {} if debug else _QUIET
        self.clouds: dict[str, Cloud] = {}

    def __enter__(self) -> Bed:
        super().__enter__()
        with contextlib.ExitStack() as undo:
            undo.push(self)
            self.cluster = self.enter_context(Cluster())
            self.cluster.create_pool(POOL)
            self.keystone = self.enter_context(Keystone())
            for name in self._names:
                self._start(name)
            undo.pop_all()
        return self

    def _start(self, name: str) -> None:
        """Start one Glance."""
        cloud = Cloud(
            self.cluster,
            {**self._log, **_OPTIONS[name]},
            plugins=name in WITH_US,
            filters=config.RAW_VIEW if name in WITH_US else None,
            prefix=f'{name}_',
            region=name,
            keystone=self.keystone,
        )
        self.clouds[name] = self.enter_context(cloud)

    @property
    def rados(self) -> dict[str, str]:
        """How qemu reaches this cluster, as options of a block node."""
        return {'conf': str(self.cluster.conf), 'user': 'admin'}

    def settle(self) -> None:
        """Begin anew: empty pools, nothing waiting to be written to disk."""
        pools = [POOL]
        for name, cloud in self.clouds.items():
            pools.append(cloud.images_pool)
            if name in WITH_US:
                pools.append(cloud.raw_pool)
        self.cluster.empty_pool(*pools)
        os.sync()
        time.sleep(SETTLE)
