# SPDX-License-Identifier: Apache-2.0
"""An open pool of RBD images: look, and try."""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any, Self

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import nodes
from glance_rawstore import torn

LOG = logging.getLogger(__name__)


class RbdPool:
    """A pool.

    :param client: connected ``rados.Rados``
    :param ioctx: open ``rados.Ioctx`` of the pool
    :param settings: by which they were made
    """

    def __init__(
        self, client: Any, ioctx: Any, settings: ceph.Settings
    ) -> None:
        self.client = client
        self.ioctx = ioctx
        self._settings = settings
        self._rbd = ceph.rbd.RBD()

    @classmethod
    @contextlib.contextmanager
    def open(cls, settings: ceph.Settings) -> Iterator[Self]:
        """Connect for as long as the context lasts."""
        with ceph.connect(settings) as (client, ioctx):
            # A full pool must refuse at once, not block (and let us delete).
            ioctx.set_osdmap_full_try()
            yield cls(client, ioctx, settings)

    @property
    def address(self) -> str:
        """By which ``ceph osd blocklist`` knows this client."""
        return str(self.client.get_addrs())

    def shut_out(self) -> bool | None:
        """Whether Ceph has blocklisted this client; None if it is silent."""
        try:
            with ceph.translated():
                self.ioctx.stat('rbd_directory')
        except exceptions.Blocklisted:
            return True
        except exceptions.CephUnavailable:
            return None
        except exceptions.RawStoreError:
            return False
        return False

    @property
    def name(self) -> str:
        """Name of the pool."""
        return str(self.ioctx.name)

    def node(self, name: str) -> nodes.Node:
        """How qemu reaches an RBD image of the pool."""
        to = self._settings
        return nodes.rbd(to.pool, name, to.conf_file, to.user)

    @contextlib.contextmanager
    def image(self, name: str, **kwargs: Any) -> Iterator[Any]:
        """Open an RBD image; ``kwargs`` as for ``rbd.Image``.

        :raises NotFound: there is none of that name
        :raises CephUnavailable: the cluster does not answer
        """
        with (
            ceph.translated(),
            ceph.rbd.Image(self.ioctx, name, **kwargs) as image,
        ):
            yield image

    def rbd_id(self, name: str) -> str | None:
        """Internal id of the image with that name, or None without one."""
        return torn.rbd_id(self.ioctx, name)

    def available(self) -> int:
        """Bytes that are free in the cluster, before replication.

        :raises CephUnavailable: the cluster does not answer
        """
        with ceph.translated():
            return int(self.client.get_cluster_stats()['kb_avail']) * 1024

    def capacity(self) -> int:
        """Bytes that the pool can hold, see :meth:`space`."""
        return self.space()[1]

    def space(self) -> tuple[int, int]:
        """Bytes that the pool has, and can hold, before replication.

        The second is its quota or, where it has none, what it has and what
        is free for it. Both are as of some seconds ago (``ceph df``, which
        profile rbd allows).

        :raises CephUnavailable: the cluster does not answer
        """
        command = {'prefix': 'df', 'detail': 'detail', 'format': 'json'}
        with ceph.translated():
            code, out, error = self.client.mon_command(
                json.dumps(command), b''
            )
        if code != 0:
            LOG.warning('Ceph did not tell what is free: %s', error)
            raise exceptions.CephUnavailable()
        for pool in json.loads(out)['pools']:
            if pool['name'] == self.name:
                stats = pool['stats']
                stored, free = int(stats['stored']), stats['max_avail']
                return stored, int(stats['quota_bytes'] or stored + free)
        raise exceptions.CephUnavailable()

    def full(self, rbd_id: str) -> bool:
        """Whether the pool takes no more data, by trying on that image.

        A full pool refuses only what makes it grow, so a byte is appended to
        the image's header object, which librbd does not use the data of.
        """
        try:
            with ceph.translated():
                # appending would create a header that is gone
                self.ioctx.stat(f'rbd_header.{rbd_id}')
                self.ioctx.append(f'rbd_header.{rbd_id}', b'?')
            directory.remove_stray(self.ioctx, rbd_id)
        except exceptions.NoSpace:
            return True
        except exceptions.RawStoreError:
            return False
        return False
