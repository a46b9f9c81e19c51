# SPDX-License-Identifier: Apache-2.0
"""Look copies up in Ceph for an API that answers many requests.

One connection for each raw store is kept open. Ceph away must cost no
request more than seconds, and most of them nothing: after an error it is not
asked for a while, and then by one request at a time until it answers. Images
are shown as their originals meanwhile.
"""

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import TypeVar

from glance_rawstore import attempts
from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import options
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.raw_view.representation import Copy

LOG = logging.getLogger(__name__)

_R = TypeVar('_R')

#: Seconds that one operation in Ceph may take.
TIMEOUT = 5
#: Seconds for which Ceph is not asked after an error.
PAUSE = 10.0
#: Seconds that requests wait for the one that connects first.
PATIENCE = 1.0
#: Seconds for which what is in the trash is remembered.
TRASH_AGE = 2.0
#: Headers of active copies that are remembered; some 200 bytes each.
REMEMBERED = 50_000


def _names(image_ids: Iterable[str]) -> dict[str, str]:
    """Names that copies of these images have, and the image of each."""
    return {
        name: image_id
        for image_id in image_ids
        for name in (raw_copy.name(image_id), raw_copy.part_name(image_id))
    }


class Window:
    """One raw pool, seen by requests.

    :param store: the raw store
    :param chosen: its options
    """

    def __init__(self, store: stores.Store, chosen: options.Options) -> None:
        timeout = TIMEOUT
        if 0 <= store.rbd.timeout < TIMEOUT:
            timeout = store.rbd.timeout
        self.settings = dataclasses.replace(store.rbd, timeout=timeout)
        self.store = store
        self._options = chosen
        self._answers = False
        # Held by the one request that asks while it is False.
        self._trial = threading.Lock()
        self._open = contextlib.ExitStack()
        self._pool: raw_pool.RawPool | None = None
        self._fsid = ''
        self._closed_until = 0.0
        # A copy never changes once it is active, and an id is never reused.
        self._headers: dict[str, directory.Header] = {}
        self._trash: tuple[float, dict[str, str]] = (-TRASH_AGE, {})

    def look(
        self,
        image_ids: Collection[str],
        trash: bool,
        read: Callable[[], dict[str, str]] | None = None,
    ) -> list[tuple[str, Copy]]:
        """The copies of these images; none when Ceph does not answer.

        :param trash: look for those in the trash as well, as for tenants
        :param read: gives the internal ids of those there are by name, if
            that has been begun
        :returns: (image id, copy without its weight) of each
        """
        found = self._try(
            lambda pool: list(self._look(pool, set(image_ids), trash, read))
        )
        return found or []

    @contextlib.contextmanager
    def looking(
        self, image_id: str
    ) -> Iterator[Callable[[], list[tuple[str, Copy]]]]:
        """Begin to look one image's copies up for a tenant, if Ceph answers.

        :returns: context manager of what does the rest of :meth:`look`
        """
        with contextlib.ExitStack() as stack:
            pool, read = self._pool, None
            if self._answers and pool is not None:
                reading = directory.reading_ids(pool.ioctx, _names([image_id]))
                # what does not begin is tried, and told, when it is needed
                with contextlib.suppress(exceptions.RawStoreError):
                    read = stack.enter_context(reading)
            yield lambda: self.look([image_id], True, read)

    def failed(self, image_ids: Iterable[str]) -> set[str] | None:
        """Those of these images whose last attempt at a copy has failed.

        :returns: None when Ceph does not answer
        """
        return self._try(
            lambda pool: {
                image_id
                for image_id, known in attempts.read_some(
                    pool.ioctx, image_ids
                ).items()
                if known.error != UNFINISHED
            }
        )

    def being_made(self, image_id: str) -> bool:
        """Whether a living worker makes a copy of this image now."""
        return bool(self._try(lambda pool: _leased(pool, image_id)))

    def _try(self, read: Callable[[raw_pool.RawPool], _R]) -> _R | None:
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
                self.store.name,
                exc,
            )
            self._answers = False
            self._closed_until = time.monotonic() + PAUSE
            return None
        self._answers, self._closed_until = True, 0.0
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
                    self._fsid = str(pool.client.get_fsid())
                self._open = stack.pop_all()
            self._pool = pool
        return self._pool

    def _look(
        self,
        pool: raw_pool.RawPool,
        image_ids: set[str],
        trash: bool,
        read: Callable[[], dict[str, str]] | None,
    ) -> Iterator[tuple[str, Copy]]:
        names = _names(image_ids)
        # Who may clone it next is not told of what was there before.
        fresh = len(image_ids) == 1 and not trash
        found = read() if read else directory.ids(pool.ioctx, names)
        for name, rbd_id in found.items():
            image_id = names[name]
            status = states.derive(
                part=name == raw_copy.part_name(image_id),
                final=name == raw_copy.name(image_id),
                trashed=False,
            )
            header = self._header(pool, rbd_id, status, fresh)
            if header is not None:
                yield image_id, self._copy(image_id, status, header)
        if trash:
            present = {names[name] for name in found}
            yield from self._in_trash(pool, image_ids - present)

    def _header(
        self,
        pool: raw_pool.RawPool,
        rbd_id: str,
        status: states.Status,
        fresh: bool,
    ) -> directory.Header | None:
        """The header; of an active copy, only one that can be cloned."""
        known = self._headers.get(rbd_id)
        if known is not None and not fresh:
            return known
        header = directory.header(pool.ioctx, rbd_id)
        if status is not states.Status.ACTIVE:
            return header
        if header is None or not header.snapshots:
            return None
        if len(self._headers) >= REMEMBERED:
            self._headers = {}
        self._headers[rbd_id] = header
        return header

    def _in_trash(
        self, pool: raw_pool.RawPool, image_ids: Iterable[str]
    ) -> Iterator[tuple[str, Copy]]:
        read, entries = self._trash
        if time.monotonic() - read > TRASH_AGE:
            entries = {
                image_id: rbd_id
                for image_id, _name, rbd_id in inventory.trashed(pool)
            }
            self._trash = (time.monotonic(), entries)
        for image_id in image_ids:
            if image_id not in entries:
                continue
            header = directory.header(pool.ioctx, entries[image_id])
            if header is not None:
                status = states.Status.PENDING_DELETE
                yield image_id, self._copy(image_id, status, header)

    def _copy(
        self, image_id: str, status: states.Status, header: directory.Header
    ) -> Copy:
        return Copy(
            store=self.store.name,
            url=raw_copy.url(self._fsid, self.settings.pool, image_id),
            status=status,
            size=header.size,
            bytes_used=header.bytes_used,
            progress=header.progress,
            node_weights=self._options.node_weights,
        )


def _leased(pool: raw_pool.RawPool, image_id: str) -> bool:
    found = directory.ids(pool.ioctx, [raw_copy.part_name(image_id)])
    return any(lease.held(pool.ioctx, rbd_id) for rbd_id in found.values())
