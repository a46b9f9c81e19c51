# SPDX-License-Identifier: Apache-2.0
"""Glance's notifier, in a thread of its own.

Stands in wherever Glance takes a notifier, for its own notifications of our
tasks as well. oslo.messaging tries for ever to reach a message bus that is
away; here that holds nothing up and fails nothing: a queue takes so many and
no more.
"""

import atexit
import logging
import queue
import threading
from collections.abc import Callable
from typing import Any

import glance.notifier

LOG = logging.getLogger(__name__)

#: Notifications that wait to be sent; what comes on top of them is dropped.
WAITING = 1000
#: Seconds that a process which ends waits for what is to be sent.
PATIENCE = 2.0


class Sender:
    """Sends in the background what it is given, in that order.

    A payload may be a function, which is called in the thread that sends.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[tuple[str, str, Any]] = queue.Queue(WAITING)
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._notifier: Any = None

    def warn(self, event_type: str, payload: Any) -> None:
        """As ``glance.notifier.Notifier``; never waits, never raises."""
        self._put('warn', event_type, payload)

    def info(self, event_type: str, payload: Any) -> None:
        """As ``glance.notifier.Notifier``; never waits, never raises."""
        self._put('info', event_type, payload)

    def error(self, event_type: str, payload: Any) -> None:
        """As ``glance.notifier.Notifier``; never waits, never raises."""
        self._put('error', event_type, payload)

    def _put(self, priority: str, event_type: str, payload: Any) -> None:
        try:
            self._queue.put_nowait((priority, event_type, payload))
        except queue.Full:
            LOG.warning(
                'The notification %s was dropped, as %d wait to be sent',
                event_type,
                WAITING,
            )
            return
        with self._lock:
            # A thread does not live on in a process that is forked.
            if self._thread is None or not self._thread.is_alive():
                self._thread = _daemon(self._run)
                atexit.register(self.flush)

    def flush(self, seconds: float = PATIENCE) -> None:
        """Wait until all is sent, for so many seconds at most."""
        _daemon(self._queue.join).join(seconds)

    def _run(self) -> None:
        while True:
            priority, event_type, payload = self._queue.get()
            try:
                self._send(priority, event_type, payload)
            except Exception as exc:
                LOG.warning(
                    'The notification %s was not sent: %s', event_type, exc
                )
            finally:
                self._queue.task_done()

    def _send(self, priority: str, event_type: str, payload: Any) -> None:
        if self._notifier is None:
            self._notifier = glance.notifier.Notifier()
        said = payload() if callable(payload) else payload
        getattr(self._notifier, priority)(event_type, said)


def _daemon(target: Callable[[], None]) -> threading.Thread:
    """Start a thread that does not keep its process from ending."""
    thread = threading.Thread(
        target=target, name='rawstore-notices', daemon=True
    )
    thread.start()
    return thread


#: That of this process.
SENDER = Sender()
