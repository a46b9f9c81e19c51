# SPDX-License-Identifier: Apache-2.0
"""Compare all images with all copies, and close the gap."""

import contextlib
import logging
import random
import time
from collections.abc import Callable, Iterator, Sequence

from glance_rawstore import downloads
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import wording
from glance_rawstore.agent import lying
from glance_rawstore.agent import plan
from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.node import Node
from glance_rawstore.agent.reading import Reader
from glance_rawstore.lifecycle.raw_copy import RawCopy

LOG = logging.getLogger(__name__)

#: How many images a line names.
_NAMED = 10

Seen = Callable[[Facts, Sequence[Action]], None]


def log(action: Action) -> None:
    """Tell the operator what is done, and why."""
    LOG.info('Image %s: %s: %s', action.image_id, action.kind, action.reason)


class Queue:
    """Counts the copies that could be made now and wait for a worker.

    And notes those of images that Glance does not know, and damaged ones.

    :ivar length: how many of them were seen
    :ivar strangers: ids of images that Glance does not know, not even as
        deleted, and that have a copy
    :ivar damaged: copies that cannot be opened, of images that one in place
        keeps from being judged
    """

    def __init__(self) -> None:
        self.length = 0
        self.strangers: list[str] = []
        self.damaged: list[RawCopy] = []

    def see(self, facts: Facts, actions: Sequence[Action]) -> None:
        """Look at what is known of an image, and is to be done about it."""
        self.damaged += facts.damaged or ()
        if not facts.known and (facts.copy or facts.part):
            self.strangers.append(facts.image_id)
        if facts.part is not None and facts.part.leased:
            return
        pending = any(task.status == 'pending' for task in facts.tasks)
        if pending or any(a.kind == Kind.CONVERT for a in actions):
            self.length += 1


def strange(image_ids: Sequence[str]) -> str:
    """What to tell of copies whose images Glance does not know."""
    return (
        "Left alone, since Glance's database knows no such image: "
        f'raw copies of {len(image_ids)}. Is it the right database, or one '
        'from a backup? What is of no use goes by glance-rawstore delete: '
        f'{wording.some(image_ids, _NAMED)}'
    )


def _nobody(_facts: Facts, _actions: Sequence[Action]) -> None:
    pass


def planned(
    node: Node, pool: raw_pool.RawPool, seen: Seen = _nobody
) -> Iterator[list[Action]]:
    """The plans of all images for which there is something to do.

    :param seen: called with all that is read, whatever is to be done
    """
    reader = Reader(node.catalog, pool, node.policy)
    for facts in reader.all():
        try:
            actions = plan.plan(facts, node.policy, time.time())
        except Exception:
            # What nothing of ours or Glance's has written, in the database.
            LOG.exception('Image %s is left as it is', facts.image_id)
            facts, actions = Facts(facts.image_id, damaged=()), []
        seen(facts, actions)
        if actions:
            yield actions


def evictions(node: Node, pool: raw_pool.RawPool) -> list[Action]:
    """The copies that are to be evicted."""
    due = node.evictor(pool, log).due()
    return [Action(Kind.RELIEVE, image_id, why) for image_id, why in due]


def reconcile(
    node: Node, told: Callable[[Action], None] = log, seen: Seen = _nobody
) -> tuple[list[str], int]:
    """Do for all images what there is to do, except for conversions.

    Then evict copies, if the budget is used beyond its high watermark.
    Every image is read again before anything is done to it. An error with
    one does not keep the others; nor does a copy that cannot be opened, whose
    image is left as it is.

    :param told: called with each action before it is done
    :param seen: called with all that is read, and what is planned
    :returns: ids of the images whose copies are to be made, in no order, so
        that several nodes begin at different ones; how many images failed,
        those left as they are included
    :raises CephUnavailable: the cluster does not answer
    """
    wanted: list[str] = []
    failed = 0

    def look(facts: Facts, actions: Sequence[Action]) -> None:
        nonlocal failed
        failed += facts.damaged is not None
        seen(facts, actions)

    with raw_pool.RawPool.open(node.store.rbd) as pool:
        actor = node.actor(pool, told)
        for actions in planned(node, pool, look):
            image_id = actions[0].image_id
            if {action.kind for action in actions} == {Kind.CONVERT}:
                wanted.append(image_id)
                continue
            try:
                if actor.act(image_id):
                    wanted.append(image_id)
            except exceptions.Damaged:
                left = lying.damaged(pool, image_id)
                look(Facts(image_id, damaged=left), [])
            except Exception:
                failed += 1
                LOG.exception('Image %s could not be put right', image_id)
        try:
            node.evictor(pool, told).relieve()
        except exceptions.RawStoreError as exc:
            LOG.warning('The budget cannot be kept to: %s', exc.in_full)
        with contextlib.suppress(exceptions.RawStoreError):
            downloads.forget_old(pool.ioctx, time.time())
            evicted.forget_traces(pool.ioctx, time.time())
    random.shuffle(wanted)
    return wanted, failed
