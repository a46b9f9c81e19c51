# SPDX-License-Identifier: Apache-2.0
"""Convert what is uploaded straight into the raw store (``copy-image``).

The bytes pass a spool, since qemu-img cannot read a stream; they are hashed
on their way, and what is returned describes them, not the copy.
"""

import contextlib
import itertools
import time
from collections.abc import Callable, Iterator
from typing import Any

from glance_store import exceptions as store_exceptions
from glance_store.common import utils
from oslo_config import cfg
from oslo_utils import units

from glance_rawstore import admission
from glance_rawstore import cluster_slots
from glance_rawstore import evicting
from glance_rawstore import exceptions
from glance_rawstore import importing
from glance_rawstore import making
from glance_rawstore import options
from glance_rawstore import raw_pool
from glance_rawstore import safety
from glance_rawstore import slots
from glance_rawstore import sources
from glance_rawstore import tally
from glance_rawstore import turns
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle import tally as counts

_CHUNK = 4 * units.Mi
#: Seconds between two looks at whether the image is still there.
_LOOK = 1.0

Stored = tuple[str, int, str, str, dict[str, Any]]


class Stream:
    """Uploaded bytes, hashed as they pass, with a look at the first ones.

    :param image_file: file-like, or an iterator of bytes
    :param hashing_algo: name for hashlib
    :param verifier: cursive's signature verifier, or None
    """

    def __init__(
        self, image_file: Any, hashing_algo: str, verifier: Any
    ) -> None:
        self._chunks = iter(utils.chunkreadable(image_file, _CHUNK))
        self._head = b''
        self._verifier = verifier
        self._checksum = utils.get_hasher('md5', False)
        self._multihash = utils.get_hasher(hashing_algo, False)
        self.size = 0

    def peek(self, length: int) -> bytes:
        """The first bytes, which are still to come; fewer if there are."""
        while len(self._head) < length:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._head += chunk
        return self._head[:length]

    def unhashed(self) -> 'Unhashed':
        """The bytes as a file, for one who hashes them himself."""
        return Unhashed(self._head, self._chunks)

    def __iter__(self) -> Iterator[bytes]:
        for chunk in itertools.chain((self._head,), self._chunks):
            yield self._hashed(chunk)

    def _hashed(self, chunk: bytes) -> bytes:
        self.size += len(chunk)
        self._checksum.update(chunk)
        self._multihash.update(chunk)
        if self._verifier:
            self._verifier.update(chunk)
        return chunk

    @property
    def checksum(self) -> str:
        """MD5 of what has passed, as Glance's checksum is."""
        return str(self._checksum.hexdigest())

    @property
    def multihash(self) -> str:
        """Hash of what has passed."""
        return str(self._multihash.hexdigest())


class Unhashed:
    """A file-like reader over a head that was read ahead and the rest."""

    def __init__(self, head: bytes, chunks: Iterator[bytes]) -> None:
        self._buffer = head
        self._chunks = chunks

    def read(self, length: int) -> bytes:
        """Up to that many bytes; none at the end."""
        while len(self._buffer) < length:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._buffer += chunk
        data, self._buffer = self._buffer[:length], self._buffer[length:]
        return data


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn our errors into those that Glance knows of a store."""
    try:
        yield
    except exceptions.NoSpace as exc:
        raise store_exceptions.StorageFull(message=str(exc)) from exc
    except (exceptions.CopyExists, exceptions.LeaseHeld) as exc:
        raise store_exceptions.Duplicate(message=str(exc)) from exc
    except exceptions.RawStoreError as exc:
        raise store_exceptions.Invalid(message=str(exc)) from exc


def convert(
    pool: raw_pool.RawPool,
    conf: cfg.ConfigOpts,
    store: str,
    image_id: str,
    stream: Stream,
    disk_format: str,
    image_size: int,
    imported: importing.Import,
) -> Stored:
    """Spool, inspect, convert and commit; nothing is left of a failure.

    :param store: name of the raw store
    :param image_size: bytes that are announced; 0 when not known
    :param imported: the import that this is part of
    :raises RawStoreError: see :mod:`glance_rawstore.exceptions`
    """
    chosen = options.Options.read(conf, store)
    with sources.spooled(chosen.scratch_dir, stream, image_size) as source:
        if image_size and stream.size != image_size:
            raise exceptions.Refused(
                f'{image_size} bytes were announced and {stream.size} came.'
            )
        verdict = safety.inspect(source, disk_format, chosen.max_size)
        _make(pool, image_id, source, verdict, chosen, imported)
    metadata = raw_copy.location_metadata(
        store, states.Status.ACTIVE, chosen.weight, chosen.node_weights
    )
    url = pool.url(image_id)
    return url, stream.size, stream.checksum, stream.multihash, metadata


def _make(
    pool: raw_pool.RawPool,
    image_id: str,
    source: sources.FileSource,
    verdict: safety.Verdict,
    chosen: options.Options,
    imported: importing.Import,
) -> None:
    made_from = {raw_copy.META_SOURCE_FORMAT: verdict.disk_format}
    telling = _Telling(imported)
    evict: admission.Evict = admission.nobody
    if imported.catalog is not None:
        evict = evicting.Evictor(imported.catalog, pool, chosen).make_room
    with (
        slots.slot(
            chosen.scratch_dir,
            chosen.max_conversions,
            telling.wait,
            imported.project,
            telling.before,
        ) as slot,
        _of_cluster(pool, chosen, imported.project, telling),
        _counted(pool) as made,
    ):
        part = making.reserve(pool, image_id, chosen)
        try:
            part.measure(source, verdict, evict, telling.wait)
            part.fill(source, verdict, telling.update, telling.stop)
            slot.end()
            made(part.commit(made_from))
        except BaseException:
            part.discard()
            raise
        finally:
            part.release()
    imported.tell('The raw copy is ready.', last=True)


def _of_cluster(
    pool: raw_pool.RawPool,
    chosen: options.Options,
    project: str,
    telling: '_Telling',
) -> contextlib.AbstractContextManager[None]:
    """One of the cluster's slots, if they are limited."""
    found = cluster_slots.limited(pool.ioctx, chosen)
    if found is None:
        return contextlib.nullcontext()
    return found.slot(telling.wait, project, telling.before)


@contextlib.contextmanager
def _counted(pool: raw_pool.RawPool) -> Iterator[Callable[[int], None]]:
    """Count how a conversion ends; gives what to call with its bytes."""
    started, sizes = time.monotonic(), list[int]()
    try:
        yield sizes.append
    except Exception as exc:
        tally.add(pool.ioctx, counts.ended(exc))
        raise
    seconds = time.monotonic() - started
    tally.add(pool.ioctx, counts.succeeded(seconds, sum(sizes)))


class _Telling:
    """Tells an import how far it is, whenever it is asked whether to stop."""

    def __init__(self, imported: importing.Import) -> None:
        self._imported = imported
        self._done = 0.0
        self._looked_at = float('-inf')
        self._before = 0

    def update(self, done: float) -> None:
        self._done = done

    def stop(self) -> Exception | None:
        self._imported.tell(f'Converting to raw: {self._done:.0%}')
        return self._imported.deleted()

    def before(self, count: int) -> None:
        self._before = count

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)
        self._imported.tell(
            'Waiting for other conversions to end: '
            f'{turns.place(self._before)}.'
        )
        if time.monotonic() - self._looked_at < _LOOK:
            return
        self._looked_at = time.monotonic()
        deleted = self._imported.deleted()
        if deleted is not None:
            raise deleted
