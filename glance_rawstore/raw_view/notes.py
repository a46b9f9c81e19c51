# SPDX-License-Identifier: Apache-2.0
"""What is noted of consumers, in the raw pool, for an API.

The notes themselves are those of :mod:`glance_rawstore.downloads`. They are
begun to be read before it is known what for, and written when it is.
"""

import enum
import time

from glance_rawstore import aio
from glance_rawstore import downloads
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.raw_view.shared_pool import SharedPool

#: What is noted of a consumer, if anything, as it will be known.
Begun = aio.Underway[downloads.Noted]


class Written(enum.Enum):
    """What became of a note.

    CHANGED: what was read is not what is noted any more. UNKNOWN: Ceph does
    not answer, so it may be noted now or a while later.
    """

    DONE = enum.auto()
    CHANGED = enum.auto()
    FULL = enum.auto()
    UNKNOWN = enum.auto()


class Notes:
    """Those in one raw pool.

    :param shared: the pool
    """

    def __init__(self, shared: SharedPool) -> None:
        self._shared = shared

    def note(
        self,
        image_id: str,
        consumer: str,
        what: Note,
        before: downloads.Noted | None = None,
    ) -> Written:
        """Note something of a consumer, in place of what there was.

        :param before: what was read; None where it does not matter
        """

        def write(pool: raw_pool.RawPool) -> Written:
            try:
                done = downloads.note(
                    pool.ioctx, image_id, consumer, what, time.time(), before
                )
            except exceptions.NoSpace:
                return Written.FULL
            return Written.DONE if done else Written.CHANGED

        return self._shared.read(write) or Written.UNKNOWN

    def begin(self, image_id: str, consumer: str) -> Begun | None:
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
        self, image_id: str, consumer: str, begun: Begun | None = None
    ) -> downloads.Noted | None:
        """What is noted of a consumer.

        :param begun: to read the same, if it has
        :returns: None when Ceph does not answer
        """

        def read(pool: raw_pool.RawPool) -> downloads.Noted:
            nonlocal begun
            once, begun = begun, None
            if once is not None:
                return once.result()
            return downloads.noted(pool.ioctx, image_id, consumer, time.time())

        return self._shared.read(read)
