# SPDX-License-Identifier: Apache-2.0
"""What each policy evicts first."""

from glance_rawstore.eviction.lru import LeastRecentlyUsed
from glance_rawstore.eviction.oldest import Oldest
from glance_rawstore.eviction.popularity import Popularity
from tests.unit.eviction import copies
from tests.unit.eviction.copies import DAY
from tests.unit.eviction.copies import HALF_LIFE
from tests.unit.eviction.copies import NOW
from tests.unit.eviction.copies import candidate


def order(policy, *candidates):
    found = policy(HALF_LIFE).rank(candidates, copies.USAGE, NOW)
    return [copy.image_id for copy in found]


def test_oldest_takes_the_one_made_first_though_it_is_in_use():
    old = candidate('old', created=NOW - 9 * DAY, last_used=NOW, score=50.0)
    young = candidate('young', created=NOW - DAY)

    assert order(Oldest, young, old) == ['old', 'young']


def test_lru_takes_the_one_used_longest_ago_though_often():
    often = candidate('often', last_used=NOW - 9 * DAY, score=50.0)
    lately = candidate('lately', last_used=NOW - DAY, score=0.9)

    assert order(LeastRecentlyUsed, lately, often) == ['often', 'lately']


def test_lru_takes_what_was_never_used_by_when_it_was_made():
    new = candidate('new', created=NOW - DAY)
    used = candidate('used', last_used=NOW - 2 * DAY)
    forgotten = candidate('forgotten', created=NOW - 3 * DAY)

    assert order(LeastRecentlyUsed, new, used, forgotten) == [
        'forgotten',
        'used',
        'new',
    ]


def test_lru_counts_a_copy_that_was_made_again_from_then_on():
    again = candidate('again', created=NOW - DAY, last_used=NOW - 9 * DAY)
    used = candidate('used', last_used=NOW - 2 * DAY)

    assert order(LeastRecentlyUsed, again, used) == ['used', 'again']


def test_popularity_takes_the_one_used_least_though_lately():
    often = candidate('often', last_used=NOW - 5 * DAY, score=30.0)
    lately = candidate('lately', last_used=NOW, score=1.0)

    assert order(Popularity, often, lately) == ['lately', 'often']


def test_popularity_fades():
    long_ago = NOW - 10 * HALF_LIFE
    was = candidate('was', last_used=long_ago, score=100.0, scored_at=long_ago)
    is_now = candidate('is', last_used=NOW, score=2.0)

    assert order(Popularity, is_now, was) == ['was', 'is']


def test_scores_of_different_times_are_compared_at_one():
    """Eight uses two half-lives ago are two now: fewer than three."""
    ago = NOW - 2 * HALF_LIFE
    eight = candidate('eight', last_used=ago, score=8.0, scored_at=ago)
    three = candidate('three', last_used=NOW, score=3.0)

    assert order(Popularity, three, eight) == ['eight', 'three']


def test_popularity_does_not_take_a_new_copy_for_an_unpopular_one():
    new = candidate('new', created=NOW)
    once = candidate('once', score=0.4)

    assert order(Popularity, new, once) == ['once', 'new']
