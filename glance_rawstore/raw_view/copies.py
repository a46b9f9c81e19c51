# SPDX-License-Identifier: Apache-2.0
"""Look copies up in Ceph for an API that answers many requests."""

import time
from collections.abc import Collection, Iterable, Iterator

from glance_rawstore import aio
from glance_rawstore import attempts
from glance_rawstore import directory
from glance_rawstore import evicted
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import options
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.shown import Gone
from glance_rawstore.raw_view.ahead import Look
from glance_rawstore.raw_view.counting import Counter
from glance_rawstore.raw_view.notes import Notes
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.shared_pool import SharedPool

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
        self.store = store
        self.shared = SharedPool(store)
        self.notes = Notes(self.shared)
        self.counter = Counter(self.shared.settings, chosen.use_half_life)
        self._options = chosen
        # Of active copies, by image, with the internal id of each: it never
        # changes once it is active, and an id is never reused.
        self._known: dict[str, tuple[str, directory.Header]] = {}
        self._trash: tuple[float, dict[str, str]] = (-TRASH_AGE, {})

    def begin(self, image_id: str, fresh: bool) -> Look | None:
        """Begin to look for the copies of an image.

        :param fresh: read what is known of an active copy as well
        :returns: None while it is not known whether Ceph answers
        """
        return self.shared.begin(
            lambda pool: self._begin(pool, image_id, fresh)
        )

    def _begin(
        self, pool: raw_pool.RawPool, image_id: str, fresh: bool
    ) -> Look:
        names = directory.begin_ids(pool.ioctx, _names((image_id,)))
        known = self._known.get(image_id)
        if known is None or not fresh:
            return Look(names)
        rbd_id, _ = known
        try:
            header = directory.begin_header(pool.ioctx, rbd_id)
        except Exception:
            aio.leave(names)
            raise
        return Look(names, rbd_id, header)

    def known(self, image_id: str) -> directory.Header | None:
        """The header of an image's active copy, as last seen, if it was."""
        known = self._known.get(image_id)
        return None if known is None else known[1]

    def look(
        self,
        image_ids: Collection[str],
        trash: bool,
        begun: Look | None = None,
    ) -> list[tuple[str, Copy]] | None:
        """The copies of these images.

        :param trash: look for those in the trash as well, as for tenants
        :param begun: the same for the same image, if it is a single one
        :returns: (image id, copy without its weight) of each; None when Ceph
            does not answer
        """

        def read(pool: raw_pool.RawPool) -> list[tuple[str, Copy]]:
            nonlocal begun
            once, begun = begun, None
            return list(self._look(pool, set(image_ids), trash, once))

        return self.shared.read(read)

    def failed(self, image_ids: Iterable[str]) -> set[str] | None:
        """Those of these images whose last attempt at a copy has failed.

        :returns: None when Ceph does not answer
        """
        return self.shared.read(
            lambda pool: {
                image_id
                for image_id, known in attempts.read_some(
                    pool.ioctx, image_ids
                ).items()
                if known.error != UNFINISHED
            }
        )

    def evicted(self, image_ids: Iterable[str]) -> set[str] | None:
        """Those of these images whose copy was evicted, and not made again.

        :returns: None when Ceph does not answer
        """
        return self.shared.read(
            lambda pool: set(evicted.read_some(pool.ioctx, image_ids))
        )

    def why(self, image_id: str) -> tuple[Evicted | None, Gone | None] | None:
        """Why an image has no copy: its eviction, and the last that went.

        :returns: None when Ceph does not answer
        """
        return self.shared.read(
            lambda pool: evicted.read_why(pool.ioctx, image_id, time.time())
        )

    def being_made(self, image_id: str) -> bool:
        """Whether a living worker makes a copy of this image now."""
        return bool(self.shared.read(lambda pool: _leased(pool, image_id)))

    def _look(
        self,
        pool: raw_pool.RawPool,
        image_ids: set[str],
        trash: bool,
        begun: Look | None,
    ) -> Iterator[tuple[str, Copy]]:
        names = _names(image_ids)
        # Who may clone it next is not told of what was there before.
        fresh = len(image_ids) == 1 and not trash
        if begun is None:
            found = directory.ids(pool.ioctx, names)
        else:
            found = begun.names.result()
        for name, rbd_id in found.items():
            image_id = names[name]
            status = states.derive(
                part=name == raw_copy.part_name(image_id),
                final=name == raw_copy.name(image_id),
                trashed=False,
            )
            known = None if fresh else self._known.get(image_id)
            if known is not None and known[0] == rbd_id:
                header: directory.Header | None = known[1]
            elif begun is not None and begun.header and begun.rbd_id == rbd_id:
                header = begun.header.result()
            else:
                header = directory.header(pool.ioctx, rbd_id)
            if status is states.Status.ACTIVE:
                header = self._active(image_id, rbd_id, header)
            if header is not None:
                yield image_id, self._copy(image_id, status, header)
        if trash:
            present = {names[name] for name in found}
            yield from self._in_trash(pool, image_ids - present)

    def _active(
        self, image_id: str, rbd_id: str, header: directory.Header | None
    ) -> directory.Header | None:
        """The header of an active copy, if that can be cloned."""
        if header is None or not header.snapshots:
            return None
        if len(self._known) >= REMEMBERED:
            self._known = {}
        self._known[image_id] = rbd_id, header
        return header

    def _in_trash(
        self, pool: raw_pool.RawPool, image_ids: Iterable[str]
    ) -> Iterator[tuple[str, Copy]]:
        read, entries = self._trash
        if time.monotonic() - read > TRASH_AGE:
            entries = {c.image_id: c.rbd_id for c in inventory.trashed(pool)}
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
            url=raw_copy.url(self.shared.fsid, self.store.rbd.pool, image_id),
            status=status,
            size=header.size,
            bytes_used=header.bytes_used,
            progress=header.progress,
            node_weights=self._options.node_weights,
            committed=header.committed,
            age=time.time() - header.committed,
        )


def _leased(pool: raw_pool.RawPool, image_id: str) -> bool:
    found = directory.ids(pool.ioctx, [raw_copy.part_name(image_id)])
    return any(lease.held(pool.ioctx, rbd_id) for rbd_id in found.values())
