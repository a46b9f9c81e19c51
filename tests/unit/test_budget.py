# SPDX-License-Identifier: Apache-2.0
"""What copies count, in a raw pool in memory."""

import threading

import pytest

from glance_rawstore import admission
from glance_rawstore import budget
from glance_rawstore import exceptions
from glance_rawstore.lifecycle.budget import Limits
from tests.contract.budget import TEN
from tests.contract.budget import AdmissionContract
from tests.contract.budget import BudgetContract
from tests.contract.budget import CapacityContract
from tests.contract.budget import begun
from tests.contract.budget import claim
from tests.contract.budget import never
from tests.contract.world import MIB
from tests.fakes.world import RAW_POOL


class TestBudget(BudgetContract):
    """In memory."""


class TestCapacity(CapacityContract):
    """In memory."""


class TestAdmission(AdmissionContract):
    """In memory."""


def test_without_a_quota_it_is_what_is_stored_and_free(world):
    world.cluster.pools[RAW_POOL].stored = 30 * MIB
    world.cluster.free = 10 * MIB

    assert world.pool.capacity() == 40 * MIB


def test_free_space_counts_without_a_limit_too(world):
    world.cluster.free = 2 * MIB
    image_id, rbd_id = world.begin()

    def ask(done):
        asked = admission.Claim(
            image_id, rbd_id, 3 * MIB, done * MIB, 64 * MIB
        )
        nobody = admission.nobody
        admission.admit(world.pool, Limits(), asked, nobody, never)

    ask(done=1)
    with pytest.raises(
        exceptions.NoSpace,
        match=r'3\.0 MiB \(64\.0 MiB at most\), and 2\.0 MiB are free',
    ):
        ask(done=0)


def test_of_many_who_race_as_many_win_as_there_is_room_for(world):
    parts = [begun(world) for _ in range(8)]
    nodes = [world.other_node() for _ in parts]
    start = threading.Barrier(len(parts))
    results = []

    def race(pool, image_id, rbd_id):
        start.wait()
        try:
            admission.admit(
                pool,
                TEN,
                claim(image_id, rbd_id, 4 * MIB),
                admission.nobody,
                lambda _seconds: None,
            )
            results.append(True)
        except exceptions.OverBudget:
            results.append(False)

    threads = [
        threading.Thread(target=race, args=(pool, *part))
        for pool, part in zip(nodes, parts, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sorted(results) == [False] * 6 + [True] * 2
    assert budget.read(world.pool, TEN).reserved == 8 * MIB
