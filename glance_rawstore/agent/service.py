# SPDX-License-Identifier: Apache-2.0
"""DOOR: ``glance-rawstore agent``; wakes, calls what decides, sleeps.

Processes under one master, which starts them again when they die: a
conversion that takes its process with it does not keep copies from being
reaped, nor figures from being told.
"""

import logging
import random
import threading
import time
from collections.abc import Sequence
from typing import Any

import cotyledon

from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.agent import leftovers
from glance_rawstore.agent import passes
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.alarms import Alarms
from glance_rawstore.agent.converting import Conversions
from glance_rawstore.agent.exporting import Endpoint
from glance_rawstore.agent.helping import Helpers
from glance_rawstore.agent.listening import Listener
from glance_rawstore.agent.node import Node
from glance_rawstore.agent.passes import Passes
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.tasks import progress

LOG = logging.getLogger(__name__)

#: Seconds in which a process that was asked to end undoes its conversions.
GRACE = 25

#: Seconds of these that those who help others may take to leave.
_PATIENCE = 5.0

#: Seconds until a process that could not start tries again.
_AGAIN = 10.0


def jitter(seconds: float) -> float:
    """That many seconds, more or less by a fifth at most."""
    return seconds * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


class _Loop(cotyledon.Service):  # type: ignore[misc, unused-ignore]
    """A pass, a pause, and again until the end.

    :param figures: where passes are noted
    """

    graceful_shutdown_timeout = GRACE
    #: By which its passes are known.
    kind: str

    def __init__(self, worker_id: Any, figures: Passes) -> None:
        super().__init__(worker_id)
        self.figures = figures
        self._stop = threading.Event()

    def interval(self) -> float:
        """Seconds between two passes."""
        raise NotImplementedError

    def look(self) -> None:
        """One pass."""
        raise NotImplementedError

    def run(self) -> None:
        """Until the end. An error ends a pass, never the process."""
        while not self._stop.is_set():
            started, ended = time.monotonic(), None
            try:
                self.look()
                ended = time.time()
            except exceptions.RawStoreError as exc:
                LOG.warning('%s: %s; trying again', self.name, exc.in_full)
            except Exception:
                LOG.exception('%s: trying again', self.name)
            took = time.monotonic() - started
            self.figures.ended(self.kind, took, ended)
            self._stop.wait(jitter(self.interval()))

    def terminate(self) -> None:
        """End soon."""
        self._stop.set()


class Reaper(_Loop):
    """Removes trashed copies that nothing uses any more."""

    name = 'glance-rawstore-reaper'
    kind = passes.REAP

    def __init__(
        self,
        worker_id: Any,
        figures: Passes,
        store: stores.Store,
        interval: float,
    ) -> None:
        super().__init__(worker_id, figures)
        self._store = store
        self._interval = interval
        self._alarms = Alarms()

    def interval(self) -> float:
        """``reap_interval``."""
        return self._interval

    def look(self) -> None:
        """Reap once."""
        with raw_pool.RawPool.open(self._store.rbd) as pool:
            reaped = inventory.reap(pool)
        for image_id in reaped.gone:
            LOG.info('Image %s: its deleted copy is gone', image_id)
        self._alarms.tell(reaped.damaged)


class Reconciler(_Loop):
    """Closes the gap, and makes the copies that are wanted."""

    name = 'glance-rawstore-reconciler'
    kind = passes.RECONCILE

    def __init__(
        self,
        worker_id: Any,
        figures: Passes,
        files: Sequence[str],
        store: str,
        interval: float,
    ) -> None:
        super().__init__(worker_id, figures)
        self._files = files
        self._store = store
        self._interval = interval
        self._node: Node | None = None
        self._conversions: Conversions | None = None
        self._helpers: Helpers | None = None
        self._listener: Listener | None = None
        self._strangers: list[str] = []
        self._alarms = Alarms()

    def interval(self) -> float:
        """``reconcile_interval``; shorter until the start has succeeded."""
        return self._interval if self._node else min(_AGAIN, self._interval)

    def look(self) -> None:
        """Reconcile once."""
        if self._node is None or self._conversions is None:
            self._node = Node.start(self._files, self._store)
            self._conversions = Conversions(self._node)
            self._listen(self._node, self._conversions)
        started = time.monotonic()
        leftovers.remove(self._node.options.scratch_dir)
        waiting = reconciling.Queue()
        wanted, failed = reconciling.reconcile(self._node, seen=waiting.see)
        self.figures.queued = waiting.length
        if waiting.strangers and waiting.strangers != self._strangers:
            LOG.warning('%s', reconciling.strange(waiting.strangers))
        self._strangers = waiting.strangers
        self._alarms.tell(waiting.damaged)
        took = progress.duration(time.monotonic() - started)
        if wanted or failed:
            LOG.info(
                '%d copies to make, %d images not put right (looked for %s)',
                len(wanted),
                failed,
                took,
            )
        self._conversions.offer(wanted)

    def _listen(self, node: Node, conversions: Conversions) -> None:
        self._helpers = Helpers(node)
        self._listener = Listener(
            node.store.rbd, conversions.offer, self._helpers.offer
        )
        self._listener.start()

    def terminate(self) -> None:
        """End soon; what is converted is handed over.

        We are there ourselves until it is, so even the last agent hands over:
        to the next one that starts.
        """
        super().terminate()
        if self._helpers is not None:
            self._helpers.stop()
        if self._conversions is not None:
            self._conversions.stop()
        if self._helpers is not None:
            self._helpers.join(_PATIENCE)
        if self._listener is not None:
            self._listener.stop()


class Exporter(_Loop):
    """Sees what there is, and tells it to Prometheus."""

    name = 'glance-rawstore-exporter'
    kind = passes.COLLECT

    def __init__(
        self,
        worker_id: Any,
        figures: Passes,
        store: stores.Store,
        limits: Limits,
        ours: Any,
    ) -> None:
        super().__init__(worker_id, figures)
        self._endpoint = Endpoint(store, ours.retry_limit, limits, figures)
        self._options = ours
        self._serving = False

    def interval(self) -> float:
        """``metrics_interval``."""
        return float(self._options.metrics_interval)

    def look(self) -> None:
        """Look once; what was seen before is told until then."""
        if not self._serving:
            self._endpoint.serve(
                self._options.metrics_address, self._options.metrics_port
            )
            self._serving = True
        self._endpoint.look()


def run(
    files: Sequence[str], store: stores.Store, limits: Limits, ours: Any
) -> None:
    """Run the agent until it is told to end; does not return.

    :param files: paths of Glance's configuration
    :param store: the raw store
    :param limits: of its budget
    :param ours: the options of ``[glance_rawstore]``
    """
    manager = cotyledon.ServiceManager(graceful_shutdown_timeout=GRACE + 5)
    figures = Passes()
    manager.add(Reaper, args=(figures, store, ours.reap_interval))
    manager.add(
        Reconciler,
        args=(figures, files, store.name, ours.reconcile_interval),
    )
    if ours.metrics_port:
        manager.add(Exporter, args=(figures, store, limits, ours))
    LOG.info('The agent for the raw store %s has started', store.name)
    manager.run()
