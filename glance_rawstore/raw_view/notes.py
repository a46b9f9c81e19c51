# SPDX-License-Identifier: Apache-2.0
"""What is noted of consumers, in the raw pool, for an API.

The notes themselves are those of :mod:`glance_rawstore.downloads`. They are
begun to be read before it is known what for, and written when it is.
"""

import time

from glance_rawstore import aio
from glance_rawstore import downloads
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.raw_view.shared_pool import SharedPool

#: What is noted of a consumer, if anything, as it will be known.
Noted = aio.Underway[Note | None]


class Notes:
    """Those in one raw pool.

    :param shared: the pool
    """

    def __init__(self, shared: SharedPool) -> None:
        self._shared = shared

    def note(self, image_id: str, consumer: str, what: Note) -> bool | None:
        """Note something of a consumer, in place of what there was.

        :returns: whether it is noted; None where nobody knows, since Ceph
            does not answer: it may be, now or a while later
        """

        def write(pool: raw_pool.RawPool) -> bool:
            try:
                now = time.time()
                downloads.note(pool.ioctx, image_id, consumer, what, now)
            except exceptions.NoSpace:
                return False
            return True

        return self._shared.read(write)

    def begin(self, image_id: str, consumer: str) -> Noted | None:
        """Begin to read what is noted of a consumer.

        :returns: None while it is not known whether Ceph answers
        """
        now = time.time()
        return self._shared.begin(
            lambda pool: downloads.begin_noted(
                pool.ioctx, image_id, consumer, now
            )
        )

    def noted(
        self, image_id: str, consumer: str, begun: Noted | None = None
    ) -> tuple[Note | None] | None:
        """What is noted of a consumer, in a tuple.

        :param begun: to read the same, if it has
        :returns: None when Ceph does not answer
        """

        def read(pool: raw_pool.RawPool) -> tuple[Note | None]:
            nonlocal begun
            once, begun = begun, None
            if once is not None:
                return (once.result(),)
            now = time.time()
            return (downloads.noted(pool.ioctx, image_id, consumer, now),)

        return self._shared.read(read)
