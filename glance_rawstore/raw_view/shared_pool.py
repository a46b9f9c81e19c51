# SPDX-License-Identifier: Apache-2.0
"""A raw pool that many requests read, and that may be away.

One connection is kept open. Ceph away must cost no request more than
seconds, and most of them nothing: after an error it is not asked for a while,
and then by one request at a time until it answers. Images are shown as their
originals meanwhile.

A client that was blocklisted is shut out by a Ceph that answers, so another
one connects at once, and requests go on with that.
"""

import collections
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


@dataclasses.dataclass(frozen=True, eq=False)
class _Connection:
    """One connection.

    :param opened: closes it
    """

    pool: raw_pool.RawPool
    opened: contextlib.ExitStack


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
        # One that has answered, and has not failed since.
        self._current: _Connection | None = None
        # Held by the one request that asks while there is none.
        self._trial = threading.Lock()
        # Those that have failed, and when.
        self._failed: dict[_Connection, float] = {}
        self._users: collections.Counter[_Connection] = collections.Counter()
        self._lock = threading.Lock()
        self._closed_until = 0.0
        self._away_since: float | None = None

    @property
    def away(self) -> float:
        """Seconds for which Ceph has not answered; 0 while it does."""
        since = self._away_since
        return 0.0 if since is None else time.monotonic() - since

    def read(self, read: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        """Read something; None when Ceph does not answer.

        :param read: is called once more, over another connection, where the
            first was blocklisted
        """
        if self._failed:
            self._close_failed()
        current = self._current
        if current is None:
            return self._try(read)
        try:
            return self._read(current, read)
        except exceptions.Blocklisted as exc:
            self._replace(current, exc)
            return self._try(read)
        except exceptions.RawStoreError as exc:
            if self._drop(current, away=True):
                self._tell(exc)
            return None

    def begin(self, begin: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        """Begin something, to be waited for in :meth:`read`.

        :returns: None unless it is known that Ceph answers
        """
        current = self._current
        if current is None:
            return None
        try:
            return begin(current.pool)
        except exceptions.RawStoreError:
            return None

    def _try(self, read: Callable[[raw_pool.RawPool], _R]) -> _R | None:
        """The same, over a new connection, if nobody else just tries one."""
        patience = 0.0 if self._closed_until else PATIENCE
        if not self._trial.acquire(timeout=patience):
            return None
        try:
            if time.monotonic() < self._closed_until:
                return None
            tried = self._current or self._connected()
            try:
                found = self._read(tried, read)
            except exceptions.RawStoreError:
                self._drop(tried)
                raise
            except Exception:
                self._keep(tried)  # Ceph did answer
                raise
            self._keep(tried)
            return found
        except exceptions.RawStoreError as exc:
            with self._lock:
                self._pause()
            self._tell(exc)
            return None
        finally:
            self._trial.release()

    def _read(
        self, used: _Connection, read: Callable[[raw_pool.RawPool], _R]
    ) -> _R:
        with self._lock:
            self._users[used] += 1
        try:
            return read(used.pool)
        except exceptions.Blocklisted:
            # It may have been begun over the one before.
            if used.pool.shut_out():
                raise
            return read(used.pool)
        finally:
            with self._lock:
                self._users[used] -= 1

    def _keep(self, tried: _Connection) -> None:
        """Have everybody use a connection that has answered."""
        with self._lock:
            if tried not in self._failed:
                self._current = tried
                self._closed_until, self._away_since = 0.0, None

    def _pause(self) -> None:
        """Ask for nothing for a while; for who holds the lock."""
        now = time.monotonic()
        self._closed_until = now + PAUSE
        if self._away_since is None:
            self._away_since = now

    def _tell(self, exc: exceptions.RawStoreError) -> None:
        LOG.warning(
            'Images are shown as their originals for the next %.0f s, since '
            'the raw store %s cannot be seen: %s',
            PAUSE,
            self._name,
            exc.in_full,
        )

    def _replace(
        self, current: _Connection, exc: exceptions.Blocklisted
    ) -> None:
        if self._drop(current):
            LOG.warning(
                'The raw store %s is connected to anew, instead of by %s: %s',
                self._name,
                current.pool.address,
                exc.detail,
            )

    def _drop(self, failed: _Connection, away: bool = False) -> bool:
        """Have nobody begin to use a connection; whether that is new.

        Others may be using it still, so it is closed later.

        :param away: nor connect anew, for a while, if it is new
        """
        with self._lock:
            if self._current is failed:
                self._current = None
            if failed in self._failed:
                return False
            self._failed[failed] = time.monotonic()
            if away:
                self._pause()
            return True

    def _close_failed(self) -> None:
        """Close those that nobody uses any more.

        A pause is longer than any operation that was begun.
        """
        before = time.monotonic() - PAUSE
        with self._lock:
            old = [
                known
                for known, at in self._failed.items()
                if at <= before and not self._users[known]
            ]
            for known in old:
                del self._failed[known], self._users[known]
        for known in old:
            known.opened.close()

    def _connected(self) -> _Connection:
        """Connect, in the process that uses it; only ever one at a time.

        :raises CephUnavailable: the cluster does not answer
        """
        with contextlib.ExitStack() as stack:
            pool = stack.enter_context(raw_pool.RawPool.open(self.settings))
            with ceph.translated():
                self.fsid = str(pool.client.get_fsid())
            return _Connection(pool, stack.pop_all())
