# SPDX-License-Identifier: Apache-2.0
"""The simulation by which eviction policies are compared."""

import pytest

from benchmarks import accesses
from benchmarks import caching
from benchmarks import foresight
from benchmarks.accesses import DAY
from benchmarks.accesses import HOUR
from benchmarks.accesses import Image
from benchmarks.accesses import Trace
from benchmarks.accesses import Use
from glance_rawstore.eviction import loading

POLICIES = ('never', 'oldest', 'lru', 'popularity')
GIB = 1 << 30


def policy(name):
    return loading.load(name, DAY).rank


@pytest.fixture(scope='module')
def trace():
    return accesses.make(2, uses=4000, images=100)


def test_a_seed_gives_one_trace_and_another_another(trace):
    assert accesses.make(2, uses=4000, images=100) == trace
    assert accesses.make(3, uses=4000, images=100) != trace


def test_nothing_is_used_before_it_is_there(trace):
    assert len(trace.images) == 100
    assert len(trace.uses) > 3900
    for use, later in zip(trace.uses, trace.uses[1:], strict=False):
        assert trace.images[use.image].created <= use.at <= later.at


def test_few_images_have_most_of_the_uses(trace):
    counts = sorted(
        [sum(u.image == n for u in trace.uses) for n in range(100)],
        reverse=True,
    )

    assert sum(counts[:20]) > 0.5 * len(trace.uses)


@pytest.mark.parametrize('percent', [10, 30])
@pytest.mark.parametrize('life', [0.0, 6 * HOUR])
def test_no_policy_exceeds_the_bound(percent, life):
    trace = accesses.make(2, uses=2000, images=60, median_life=life)
    limit, counted = trace.size * percent // 100, trace.end / 4
    most = foresight.bound(trace, limit, counted)
    ranks = [policy(name) for name in POLICIES]
    ranks += [foresight.belady(trace), foresight.belady_with_sizes(trace)]

    for rank in ranks:
        outcome = caching.run(trace, limit, rank, DAY, counted)
        assert 0 < outcome.ratio <= most


@pytest.mark.parametrize('name', POLICIES)
def test_with_room_for_all_only_what_is_not_made_yet_is_missed(trace, name):
    outcome = caching.run(trace, trace.size * 2, policy(name), DAY, 0.0)

    assert (outcome.evictions, outcome.refused) == (0, 0)
    assert outcome.ratio > 0.97
    assert foresight.bound(trace, trace.size * 2, 0.0) == 1.0


def test_who_knows_the_future_does_better():
    trace = accesses.make(2, uses=4000, images=100, median_life=0.0)
    limit = trace.size // 5

    def ratio(rank):
        return caching.run(trace, limit, rank, DAY, 0.0).ratio

    oldest, lru = ratio(policy('oldest')), ratio(policy('lru'))
    assert oldest < lru < ratio(foresight.belady(trace))


def test_a_copy_with_living_clones_is_not_evicted():
    images = (Image('a', 40 * GIB, 0.0), Image('b', 40 * GIB, 1.5 * HOUR))
    trace = Trace(
        images, (Use(HOUR, 0, DAY), Use(2 * HOUR, 1, 0), Use(3 * HOUR, 0, 0))
    )

    outcome = caching.run(trace, 50 * GIB, policy('lru'), DAY, 0.0)

    assert outcome.hits == 2
    assert (outcome.evictions, outcome.refused) == (0, 2)


def test_a_copy_that_is_being_made_is_no_hit():
    images = (Image('a', 40 * GIB, 0.0),)
    soon, later = 60.0, HOUR
    trace = Trace(images, (Use(soon, 0, 0.0), Use(later, 0, 0.0)))

    assert caching.run(trace, 50 * GIB, policy('lru'), DAY, 0.0).hits == 1
