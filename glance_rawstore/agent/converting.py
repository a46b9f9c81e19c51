# SPDX-License-Identifier: Apache-2.0
"""Make the copies that are wanted, with the flow of the API's workers."""

import dataclasses
import itertools
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent import futures

from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import slots
from glance_rawstore import turns
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.node import Node
from glance_rawstore.catalog import SENDER
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.tasks import flow

LOG = logging.getLogger(__name__)


def _nobody(_image_id: str, _made: bool) -> None:
    pass


class Conversions:
    """The conversions of this process: so many at once, one for an image.

    Of what is offered, projects take turns.

    :param node: what to work with
    :param told: called with what is done besides, for an image
    :param ended: called with an image's id, and whether it has its copy
    """

    def __init__(
        self,
        node: Node,
        told: Callable[[Action], None] = reconciling.log,
        ended: Callable[[str, bool], None] = _nobody,
    ) -> None:
        self._node = node
        self._told = told
        self._ended = ended
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: dict[str, turns.Ticket] = {}
        self._running: dict[str, str] = {}
        self._futures: set[futures.Future[None]] = set()
        self._numbers = itertools.count(1)
        # Another one begins when all of one is converted (slots.py).
        self._pool = futures.ThreadPoolExecutor(
            2 * node.options.max_conversions, 'raw-copy'
        )

    def offer(self, image_ids: Iterable[str]) -> None:
        """Make the copies of these images, unless they wait already."""
        for image_id in image_ids:
            if self._is_known(image_id) or self._stop.is_set():
                continue
            project, number = self._project(image_id), next(self._numbers)
            ticket = turns.Ticket(image_id, project, number, number)
            with self._lock:
                if not self._stop.is_set() and not self._is_known(image_id):
                    self._waiting[image_id] = ticket
                    future = self._pool.submit(self._run_next)
                    self._futures.add(future)
                    future.add_done_callback(self._futures.discard)

    def _is_known(self, image_id: str) -> bool:
        return image_id in self._waiting or image_id in self._running

    def _project(self, image_id: str) -> str:
        """The owner of an image; nobody's if it cannot be seen now."""
        try:
            image = self._node.catalog.image(image_id)
        except Exception as exc:
            LOG.warning('Image %s: its owner is not known: %s', image_id, exc)
            return ''
        return (image.owner or '') if image is not None else ''

    def join(self) -> None:
        """Wait until all that was offered has ended."""
        while True:
            with self._lock:
                waiting = list(self._futures)
            if not waiting:
                return
            futures.wait(waiting)

    def stop(self) -> None:
        """Stop what runs, forget what waits.

        Waits until what runs is handed over, or undone without an agent.
        """
        self._stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        SENDER.flush()

    def _run_next(self) -> None:
        """Make one of the copies that wait: that whose turn it is."""
        with self._lock:
            line = turns.order(self._waiting.values(), self._running.values())
            if self._stop.is_set() or not line:
                return
            ticket = self._waiting.pop(line[0].key)
            self._running[ticket.key] = ticket.project
            turn = next(self._numbers)
            self._waiting |= {
                other.key: dataclasses.replace(other, turn=turn)
                for other in self._waiting.values()
                if other.project == ticket.project
            }
        self._run(ticket.key, ticket.project)

    def _run(self, image_id: str, project: str) -> None:
        try:
            self._make(image_id, project)
        except exceptions.Cancelled as exc:
            LOG.info('Image %s: %s', image_id, exc)
        except Exception:
            LOG.exception('No raw copy of image %s can be made', image_id)
            self._ended(image_id, False)
        finally:
            with self._lock:
                self._running.pop(image_id, None)

    def _wait(self, seconds: float) -> None:
        if self._stop.wait(seconds):
            raise exceptions.Cancelled('Left to others, as this one ends.')

    def _make(self, image_id: str, project: str) -> None:
        """Look again with a free slot at hand: others may have made it."""
        self._wait(0)
        node, options = self._node, self._node.options
        with slots.slot(
            options.scratch_dir, options.max_conversions, self._wait, project
        ) as slot:
            with raw_pool.RawPool.open(node.store.rbd) as pool:
                action = node.actor(pool, self._told).act(image_id)
            if action is None:
                return
            LOG.info(
                'Image %s: making its raw copy: %s', image_id, action.reason
            )
            target = action.target or None
            flow.run(node.job(image_id, self._stop, target, slot))
        with raw_pool.RawPool.open(node.store.rbd) as pool:
            self._ended(image_id, pool.status(image_id) is Status.ACTIVE)
