# SPDX-License-Identifier: Apache-2.0
"""Note in Ceph how far a conversion is, without holding it up."""

import logging
import threading
from collections.abc import Callable
from types import TracebackType

LOG = logging.getLogger(__name__)

#: Seconds between two notes.
INTERVAL = 2.0
#: Seconds that a note under way is waited for: a cluster that is away gives
#: no answer.
_JOIN = 5.0


class Noting:
    """Notes the percent done every :data:`INTERVAL`, if it has changed.

    :param note: called with whole percents, 0 to 100, from a thread of its
        own; its errors are logged only, as nothing depends on a note
    """

    def __init__(self, note: Callable[[int], None]) -> None:
        self._note = note
        self._done = 0.0
        self._noted: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='rawstore-progress', daemon=True
        )

    def update(self, done: float) -> None:
        """Take the part done, 0.0 to 1.0; never blocks."""
        self._done = done

    def __enter__(self) -> 'Noting':
        self._thread.start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join(_JOIN)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL):
            percent = int(self._done * 100)
            if percent != self._noted:
                self._try(percent)

    def _try(self, percent: int) -> None:
        try:
            self._note(percent)
        except Exception as exc:
            LOG.debug('Progress was not noted: %s', exc)
        else:
            self._noted = percent
