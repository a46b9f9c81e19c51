# SPDX-License-Identifier: Apache-2.0
"""What holds for every policy that we bring."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.eviction import loading
from tests.unit.eviction import copies

NAMES = ('never', 'oldest', 'lru', 'popularity')
RANKING = NAMES[1:]


def ranked(name, candidates, usage=copies.USAGE, now=copies.NOW):
    policy = loading.load(name, copies.HALF_LIFE)
    return policy.rank(candidates, usage, now)


@pytest.mark.parametrize('name', NAMES)
@given(candidates=copies.several(), usage=copies.usages, now=copies.times)
def test_it_ranks_nothing_twice_and_makes_nothing_up(
    name, candidates, usage, now
):
    found = ranked(name, candidates, usage, now)

    assert len(found) == len({copy.rbd_id for copy in found})
    assert set(found) <= set(candidates)


@pytest.mark.parametrize('name', NAMES)
@given(candidates=copies.several(), seed=st.integers())
def test_the_order_in_which_it_is_told_does_not_matter(name, candidates, seed):
    shuffled = random.Random(seed).sample(candidates, len(candidates))

    assert ranked(name, shuffled) == ranked(name, candidates)


@pytest.mark.parametrize('name', NAMES)
@given(candidates=copies.several())
def test_what_it_is_given_stays_as_it_is(name, candidates):
    before = list(candidates)

    ranked(name, candidates)

    assert candidates == before


@pytest.mark.parametrize('name', RANKING)
@given(candidates=copies.several())
def test_whatever_may_be_evicted_is_ranked(name, candidates):
    assert len(ranked(name, candidates)) == len(candidates)


@pytest.mark.parametrize('name', RANKING)
@given(candidates=copies.several())
def test_one_that_goes_does_not_change_the_order_of_the_others(
    name, candidates
):
    """So that evicting one by one gives what evicting at once gives."""
    first, *rest = ranked(name, candidates) or [None]
    if first is not None:
        left = [copy for copy in candidates if copy != first]

        assert ranked(name, left) == rest


@given(candidates=copies.several(), usage=copies.usages)
def test_never_keeps_everything(candidates, usage):
    assert ranked('never', candidates, usage) == []
