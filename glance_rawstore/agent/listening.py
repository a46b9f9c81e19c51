# SPDX-License-Identifier: Apache-2.0
"""Be there for processes that end, and for those that want help."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import crew
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import raw_pool

LOG = logging.getLogger(__name__)

#: Seconds between looks: a read of two objects that are empty, mostly.
INTERVAL = 1.0
#: Seconds until a cluster that was away is asked again.
_AGAIN = 10.0
#: Seconds that a cluster may take to be told that we leave.
_PATIENCE = 5.0


class Listener:
    """A thread that shows that an agent is there, and listens.

    :param settings: of the raw pool
    :param offer: called with the ids of images whose conversions were handed
        over, again and again until they are taken
    :param help_with: called with the copies that have slices to take, as
        :func:`crew.offered` gives them, again and again while they have
    """

    def __init__(
        self,
        settings: ceph.Settings,
        offer: Callable[[Iterable[str]], None],
        help_with: Callable[[Mapping[str, str]], None] = lambda parts: None,
    ) -> None:
        self._settings = settings
        self._offer = offer
        self._help_with = help_with
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name='rawstore-listener', daemon=True
        )

    def start(self) -> None:
        """Be there from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Be there no more."""
        self._stop.set()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                with raw_pool.RawPool.open(self._settings) as pool:
                    self._listen(pool.ioctx)
            except exceptions.RawStoreError as exc:
                LOG.warning(
                    'Nothing can be handed over to us: %s', exc.in_full
                )
                self._stop.wait(_AGAIN)
            except Exception:
                LOG.exception('Nothing can be handed over to us')
                self._stop.wait(_AGAIN)

    def _listen(self, ioctx: Any) -> None:
        presence = handover.Presence(ioctx)
        shown = float('-inf')
        try:
            while not self._stop.is_set():
                if time.monotonic() - shown > handover.DURATION / 3:
                    presence.show()
                    shown = time.monotonic()
                self._offer(handover.all_offered(ioctx))
                self._help_with(crew.offered(ioctx))
                self._stop.wait(INTERVAL)
        finally:
            presence.leave()
