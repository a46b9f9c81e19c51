# SPDX-License-Identifier: Apache-2.0
"""Count in memory how often copies are handed out, and write it down later.

No request waits for it: one thread writes what has come together, once a
minute at most, and within seconds when a consumer has asked for an evicted
copy, since that is what it is made again for. What is not written yet when a
process is killed is lost, a minute's worth; a process that ends writes it.
"""

import atexit
import dataclasses
import itertools
import logging
import threading
import time
from collections.abc import Callable

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore import uses
from glance_rawstore.lifecycle.uses import Count

LOG = logging.getLogger(__name__)

#: Seconds between two writes.
INTERVAL = 60.0
#: Seconds between two writes while consumers ask for evicted copies.
PROMPT = 1.0
#: Seconds until a cluster that was away is written to again.
AGAIN = 10.0
#: Seconds in which one consumer's calls for one image are one use.
SAME_USE = 30.0
#: Images, and calls, that are kept in mind; some 300 bytes each. What comes
#: beyond that, as while Ceph is away for long, is not counted.
MOST = 10_000
#: Seconds that the end of the process waits for the last write.
_GRACE = 5.0


class Counter:
    """Counts for one raw pool.

    :param settings: of the raw pool
    :param half_life: seconds in which a use loses half of its weight
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        settings: ceph.Settings,
        half_life: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._half_life = half_life
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, Count] = {}
        self._calls: dict[tuple[str, str], float] = {}
        self._thread: threading.Thread | None = None
        self._due = threading.Event()
        self._ended = threading.Event()

    def used(self, image_id: str, consumer: str) -> None:
        """A copy was handed out.

        :param consumer: by which the calls of one are known: Cinder makes
            several for one volume
        """
        now = self._clock()
        if self._is_new((image_id, consumer), now):
            self._add({image_id: Count(1, last=now)})

    def asked(self, image_id: str) -> None:
        """A consumer wants a copy that was evicted."""
        self._add({image_id: Count(asked=self._clock())})
        self._due.set()

    def _is_new(self, call: tuple[str, str], now: float) -> bool:
        with self._lock:
            before = self._calls.get(call)
            if before is not None and 0 <= now - before < SAME_USE:
                return False
            if len(self._calls) >= MOST:
                self._calls.clear()
            self._calls[call] = now
            return True

    def _add(self, counts: dict[str, Count]) -> None:
        with self._lock:
            for image_id, count in counts.items():
                known = self._counts.get(image_id)
                if known is not None or len(self._counts) < MOST:
                    self._counts[image_id] = (known or Count()) + count
            if self._thread is None and not self._ended.is_set():
                self._start()

    def _start(self) -> None:
        """At the first use: under uWSGI a worker is forked before."""
        self._thread = threading.Thread(
            target=self._run, name='rawstore-uses', daemon=True
        )
        self._thread.start()
        atexit.register(self.stop)

    def stop(self) -> None:
        """Write what there is, and count no more."""
        self._ended.set()
        self._due.set()
        if self._thread is not None:
            self._thread.join(_GRACE)

    def _run(self) -> None:
        while not self._ended.is_set():
            self._due.wait(INTERVAL)
            self._due.clear()
            pause = PROMPT if self.write() else AGAIN
            self._ended.wait(pause)
        self.write()

    def write(self) -> bool:
        """Write what was counted; it is kept where that fails.

        :returns: whether it is written
        """
        with self._lock:
            counts, self._counts = self._counts, {}
            old = self._clock() - SAME_USE
            self._calls = {c: t for c, t in self._calls.items() if t > old}
        if not counts:
            return True
        try:
            self._write(counts)
        except exceptions.RawStoreError as exc:
            LOG.info('Uses of raw copies are written down later: %s', exc)
        except Exception:
            LOG.exception('Uses of raw copies are written down later')
        self._add(counts)
        if any(count.asked is not None for count in counts.values()):
            self._due.set()
        return not counts

    def _write(self, counts: dict[str, Count]) -> None:
        """Write, and take from the counts what is written."""
        with raw_pool.RawPool.open(self._settings) as pool:
            while counts:
                batch = dict(itertools.islice(counts.items(), uses.BATCH))
                uses.add(pool.ioctx, batch, self._half_life)
                for image_id, count in batch.items():
                    counts[image_id] = dataclasses.replace(count, uses=0)
                for image_id, count in batch.items():
                    if count.asked is not None:
                        handover.ask(pool.ioctx, image_id)
                    del counts[image_id]
