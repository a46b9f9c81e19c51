# SPDX-License-Identifier: Apache-2.0
"""Eviction and reconciliation do not chase each other: simulated."""

import dataclasses
import random
import time
import uuid

import pytest

from glance_rawstore import budget
from glance_rawstore import evicted
from glance_rawstore import tally
from glance_rawstore import uses
from glance_rawstore.agent import reconciling
from glance_rawstore.agent.converting import Conversions
from glance_rawstore.lifecycle.budget import Limits
from glance_rawstore.lifecycle.uses import Count
from tests.contract.world import DATA
from tests.unit.tasks.conftest import ORIGINAL

ONE = len(DATA)
IMAGES = 20


class Cloud:
    """More images than there is room for copies of: ten at most.

    Above eight of them copies are evicted, down to five.

    :ivar made: images whose copy was made, in order
    """

    def __init__(self, work, node, policy):
        work.catalog.images.clear()
        self.images = [str(uuid.UUID(int=n)) for n in range(IMAGES)]
        for image_id in self.images:
            work.catalog.add(image_id, ORIGINAL, updated_at=0.0)
        work.converter.convert = self._convert
        options = dataclasses.replace(
            node.options,
            budget=Limits(bytes=10 * ONE, high=80, low=50),
            eviction_policy=policy,
        )
        self.node = dataclasses.replace(node, options=options)
        self.world = work.world
        self.pool = work.world.pool
        self.made = []

    def _convert(self, source, target, requests, calls, window=None):
        image_id = target['image'].removesuffix('_raw.part')
        self.made.append(image_id)
        assert self.budget().taken <= 10 * ONE
        self.world.write(image_id)

    def budget(self):
        return budget.read(self.pool, self.node.options.budget)

    def look(self):
        """One pass of an agent, with the conversions that come of it."""
        wanted, failed = reconciling.reconcile(self.node)
        assert failed == 0
        conversions = Conversions(self.node)
        conversions.offer(wanted)
        conversions.join()
        conversions.stop()

    def evicted(self):
        return sorted(evicted.read_all(self.pool.ioctx))

    def ask(self, image_id):
        """As a consumer does of an image whose copy is evicted."""
        count = Count(asked=time.time())
        uses.add(self.pool.ioctx, {image_id: count}, 3600)


@pytest.fixture
def cloud(work, node):
    return lambda policy: Cloud(work, node, policy)


@pytest.mark.parametrize('policy', ['oldest', 'lru', 'popularity'])
def test_what_is_evicted_stays_away_until_it_is_asked_for(cloud, policy):
    cloud = cloud(policy)
    for _ in range(5):
        cloud.look()

    assert sorted(cloud.made) == cloud.images, 'each of them once'
    gone = cloud.evicted()
    evictions = tally.read(cloud.pool.ioctx).evictions[policy]
    assert len(gone) == evictions == 12
    assert cloud.budget().taken == 8 * ONE

    for count in range(1, 6):
        image_id = random.Random(count).choice(cloud.evicted())
        cloud.ask(image_id)
        for _ in range(3):
            cloud.look()

        assert len(cloud.made) == IMAGES + count, 'one for each time'
        assert cloud.made[-1] == image_id
        assert image_id not in cloud.evicted()
        assert cloud.budget().taken <= 8 * ONE


def test_what_there_is_no_room_for_is_not_tried_all_the_time(cloud):
    cloud = cloud('never')
    for _ in range(5):
        cloud.look()

    assert len(cloud.made) == 10
    assert cloud.evicted() == []
    failed = tally.read(cloud.pool.ioctx).failures
    assert failed['over_budget'] == sum(failed.values()) == IMAGES - 10
