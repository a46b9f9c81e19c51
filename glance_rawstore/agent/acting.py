# SPDX-License-Identifier: Apache-2.0
"""Carry a plan out. Every action may be repeated, and done by two at once."""

import contextlib
import logging
import time
from collections.abc import Callable
from typing import Any

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore import making
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import torn
from glance_rawstore import uses
from glance_rawstore.agent import plan
from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.policy import Policy
from glance_rawstore.agent.policy import metadata
from glance_rawstore.agent.reading import Reader
from glance_rawstore.catalog import Catalog
from glance_rawstore.lifecycle.events import Event
from glance_rawstore.options import Options

LOG = logging.getLogger(__name__)

_READY = 'The raw copy is ready.'
_DIED = (
    'The worker that made the raw copy ended before it was done. The image '
    'itself is not affected.'
)

_FORGET: dict[Kind, Callable[[Any, str], None]] = {
    Kind.FORGET: attempts.forget,
    Kind.TAKE: handover.take,
    Kind.FORGET_EVICTION: evicted.forget,
    Kind.FORGET_USES: uses.forget,
    Kind.FORGET_ORDER: orders.forget,
}


class Actor:
    """Does what is planned, except for conversions.

    :param catalog: Glance's side
    :param pool: the raw pool
    :param told: called with each action before it is done
    """

    def __init__(
        self,
        catalog: Catalog,
        pool: raw_pool.RawPool,
        policy: Policy,
        options: Options,
        told: Callable[[Action], None],
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._policy = policy
        self._options = options
        self._told = told
        self.reader = Reader(catalog, pool, policy)

    def act(self, image_id: str) -> Action | None:
        """Do what there is to do about one image, by the facts of now.

        :returns: the making of its copy, which is left to the caller; None
            when it is not to be made
        :raises Damaged: a copy of it cannot be opened: nothing is done
        :raises CephUnavailable: the cluster does not answer
        """
        torn.finish_trash(self._pool.ioctx, image_id)
        facts = self.reader.one(image_id)
        if facts.damaged is not None:
            raise exceptions.Damaged(
                detail=' '.join(copy.alarm for copy in facts.damaged)
            )
        actions = plan.plan(facts, self._policy, time.time())
        for action in actions:
            if action.kind != Kind.CONVERT:
                self._told(action)
                self._do(action, facts)
        return next((a for a in actions if a.kind == Kind.CONVERT), None)

    def _do(self, action: Action, facts: Facts) -> None:
        image_id, target = action.image_id, action.target
        match action.kind:
            case Kind.REAP:
                self._pool.purge(target)
            case Kind.COMMIT:
                self._commit(image_id, target)
            case Kind.CLEAR_PART:
                with contextlib.suppress(exceptions.LeaseHeld):
                    making.clear_dead(self._pool, image_id, self._options)
            case Kind.DELETE:
                with contextlib.suppress(exceptions.NotFound):
                    gone = self._pool.delete(image_id)
                    self._tell(Event.DELETE, image_id, in_use=not gone)
            case Kind.EVICT:
                self._pool.delete_one(image_id, target)
            case kind if kind in _FORGET:
                _FORGET[kind](self._pool.ioctx, image_id)
            case _:
                self._tell_glance(action, facts)

    def _tell(self, event: Event, image_id: str, **facts: Any) -> None:
        self._catalog.tell(event, image_id, self._policy.store, **facts)

    def _tell_glance(self, action: Action, facts: Facts) -> None:
        catalog, image_id = self._catalog, action.image_id
        url = self.reader.url(image_id)
        match action.kind:
            case Kind.PUT_LOCATION if facts.image is not None:
                wanted = metadata(facts.image, self._policy, facts.rows)
                catalog.put_location(image_id, url, wanted)
            case Kind.REMOVE_LOCATION:
                catalog.remove_location(image_id, url)
            case Kind.SUCCEED_TASK:
                result = {'image_id': image_id, 'store': self._policy.store}
                catalog.succeed_task(action.target, result, _READY)
            case Kind.FAIL_TASK:
                catalog.fail_task(action.target, _DIED)

    def _commit(self, image_id: str, rbd_id: str) -> None:
        """Finish a commit; whoever else has begun to is left to it."""
        taken = lease.Lease(
            self._pool.ioctx, rbd_id, self._options.lease_duration
        )
        left = (
            exceptions.LeaseHeld,
            exceptions.NotFound,
            exceptions.Cancelled,
            exceptions.CopyExists,
        )
        with contextlib.suppress(*left):
            taken.acquire()
            try:
                self._pool.commit(image_id, rbd_id, {})
            finally:
                taken.release()
