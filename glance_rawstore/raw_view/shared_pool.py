# SPDX-License-Identifier: Apache-2.0
"""A raw pool that many requests read, and that may be away.

One connection is kept open. Ceph away must cost no request more than
seconds, and most of them nothing: after an error it is not asked for a while,
and then by one request at a time until it answers. Images are shown as their
originals meanwhile.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import stores

LOG = logging.getLogger(__name__)

_R = TypeVar('_R')

#: Seconds that one operation in Ceph may take.
TIMEOUT = 5
#: Seconds for which Ceph is not asked after an error.
PAUSE = 10.0
#: Seconds that requests wait for the one that connects first.
PATIENCE = 1.0


class SharedPool:
    """The pool of one raw store.

    :param store: the raw store

    :ivar settings: by which the pool is reached
    :ivar fsid: of the cluster; empty before it was read from
    """

    def __init__(self, store: stores.Store) -> None:
        timeout = TIMEOUT
        if 0 < store.rbd.timeout < TIMEOUT:  # 0 is for ever
            timeout = store.rbd.timeout
        self.settings = dataclasses.replace(store.rbd, timeout=timeout)
        self.fsid = ''
        self._name = store.name
        self._answers = False
        # Held by the one request that asks while it is False.
        self._trial = threading.Lock()
        self._open = contextlib.ExitStack()
        self._pool: raw_pool.RawPool | None = None
        self._closed_until = 0.0
        self._away_since: float | None = None

    @property
    def away(self) -> float:
        """Seconds for which Ceph has not answered; 0 while it does."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    def read(self, read: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        """Read something; None when Ceph does not answer."""
        if self._answers:
            return self._read(read)
        patience = 0.0 if self._closed_until else PATIENCE
        if not self._trial.acquire(timeout=patience):
            return None
        try:
            self._renew()
            return self._read(read)
        finally:
            self._trial.release()

    def begin(self, begin: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        """Begin something, to be waited for in :meth:`read`.

        :returns: None unless it is known that Ceph answers
        """
        if not self._answers or self._pool is None:
            return None
        try:
            return begin(self._pool)
        except exceptions.RawStoreError:
            return None

    def _renew(self) -> None:
        """Close a connection that has failed: it may have been fenced.

        Nobody uses it any more: the pause is longer than any operation.
        """
        if self._closed_until and time.monotonic() >= self._closed_until:
            self._open.close()
            self._pool = None

    def _read(self, read: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        if time.monotonic() < self._closed_until:
            return None
        try:
            found = read(self._connected())
        except exceptions.RawStoreError as exc:
            LOG.warning(
                'Images are shown as their originals for the next %.0f s, '
                'since the raw store %s cannot be seen: %s',
                PAUSE,
                self._name,
                exc,
            )
            self._answers = False
            self._closed_until = time.monotonic() + PAUSE
            if self._away_since is None:
                self._away_since = time.monotonic()
            return None
        self._answers, self._closed_until = True, 0.0
        self._away_since = None
        return found

    def _connected(self) -> raw_pool.RawPool:
        """The pool; connected at the first use, in the process that uses it.

        Only ever by the one request that tries.

        :raises CephUnavailable: the cluster does not answer
        """
        if self._pool is None:
            with contextlib.ExitStack() as stack:
                pool = stack.enter_context(
                    raw_pool.RawPool.open(self.settings)
                )
                with ceph.translated():
                    self.fsid = str(pool.client.get_fsid())
                self._open = stack.pop_all()
            self._pool = pool
        return self._pool
