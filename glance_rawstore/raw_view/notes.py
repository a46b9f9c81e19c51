# SPDX-License-Identifier: Apache-2.0
"""What is noted of consumers, in the raw pool, for an API.

The notes themselves are those of :mod:`glance_rawstore.downloads`. They can be
begun before it is known what they are for, and taken back.
"""

import dataclasses
import time

from glance_rawstore import aio
from glance_rawstore import downloads
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle.shown import Kind
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.raw_view.shared_pool import SharedPool


@dataclasses.dataclass(frozen=True)
class Noting:
    """What is noted of a consumer, as it will be known.

    :param operation: returns the note, in a tuple; None where there is
        another than was to be written
    :param what: is written, where nothing was noted; None if it is read only
    :param at: when, in seconds since the epoch
    """

    operation: aio.Underway[tuple[Note | None] | None]
    what: Note | None
    at: float


class Notes:
    """Those in one raw pool.

    :param shared: the pool
    """

    def __init__(self, shared: SharedPool) -> None:
        self._shared = shared

    def note(self, image_id: str, consumer: str, what: Note) -> bool:
        """Note something of a consumer; whether that went well."""

        def write(pool: raw_pool.RawPool) -> bool:
            try:
                now = time.time()
                downloads.note(pool.ioctx, image_id, consumer, what, now)
            except exceptions.NoSpace:
                return False
            return True

        return bool(self._shared.read(write))

    def begin_note(
        self, image_id: str, consumer: str, what: Note
    ) -> Noting | None:
        """Begin to note something of a consumer, if there is no note of it.

        :returns: None while it is not known whether Ceph answers
        """
        now = time.time()

        def begin(pool: raw_pool.RawPool) -> Noting:
            writing = downloads.begin_note(
                pool.ioctx, image_id, consumer, what, now
            )

            def noted(done: bool) -> tuple[Note | None] | None:
                return (what,) if done else None

            return Noting(writing.then(noted), what, now)

        return self._shared.begin(begin)

    def begin_noted(self, image_id: str, consumer: str) -> Noting | None:
        """Begin to read what was noted of a consumer.

        :returns: None while it is not known whether Ceph answers
        """
        now = time.time()

        def begin(pool: raw_pool.RawPool) -> Noting:
            reading = downloads.begin_noted(
                pool.ioctx, image_id, consumer, now
            )
            return Noting(reading.then(lambda note: (note,)), None, now)

        return self._shared.begin(begin)

    def noted(
        self, image_id: str, consumer: str, begun: Noting | None = None
    ) -> tuple[Note | None] | None:
        """What is noted of a consumer, in a tuple.

        :param begun: of the same, if it has
        :returns: None when Ceph does not answer
        """
        found = None if begun is None else self._ended(begun)
        if found is not None:
            return found

        def read(pool: raw_pool.RawPool) -> tuple[Note | None]:
            now = time.time()
            return (downloads.noted(pool.ioctx, image_id, consumer, now),)

        return self._shared.read(read)

    def withdraw(self, image_id: str, consumer: str, begun: Noting) -> None:
        """Not stand by what was noted, if that is what is noted."""
        if begun.what is None or self._ended(begun) is None:
            return
        before, after = (begun.what, begun.at), Note(Kind.ASKED)
        self._shared.read(
            lambda pool: downloads.change(
                pool.ioctx, image_id, consumer, before, after
            )
        )

    def _ended(self, begun: Noting) -> tuple[Note | None] | None:
        def end(_pool: raw_pool.RawPool) -> tuple[Note | None] | None:
            try:
                return begun.operation.result()
            except exceptions.NoSpace:
                return None

        return self._shared.read(end)
