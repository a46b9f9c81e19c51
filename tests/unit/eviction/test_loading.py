# SPDX-License-Identifier: Apache-2.0
"""Policies are found by name, and what cannot be used is told at once."""

from importlib import metadata

import pytest
import stevedore

from glance_rawstore import exceptions
from glance_rawstore.eviction import loading
from glance_rawstore.eviction.lru import LeastRecentlyUsed


class NoPolicy:
    """Has a fitting method, but has not promised anything."""

    def rank(self, candidates, usage, now):
        return list(candidates)


class Unfinished(loading.base.Policy):
    """Has forgotten to rank."""


@pytest.fixture
def third_party(monkeypatch):
    """Have somebody's package bring a policy."""

    def install(name, target):
        ours = stevedore.ExtensionManager(loading.NAMESPACE)
        theirs = metadata.EntryPoint(name, target, loading.NAMESPACE)
        found = [ext.entry_point for ext in ours] + [theirs]
        monkeypatch.setattr(
            stevedore.ExtensionManager,
            'list_entry_points',
            lambda manager: found,
        )

    return install


def test_ours_are_installed():
    assert loading.installed() == ['lru', 'never', 'oldest', 'popularity']


def test_a_policy_is_made_with_the_half_life():
    policy = loading.load('lru', 3600.0)

    assert isinstance(policy, LeastRecentlyUsed)
    assert policy.half_life == 3600.0


def test_a_name_that_is_not_installed_is_refused_with_those_that_are():
    with pytest.raises(exceptions.BadSetup) as refused:
        loading.load('lfu', 1.0)

    assert str(refused.value) == (
        "raw_cache_eviction_policy: there is no policy 'lfu'; installed are: "
        'lru, never, oldest, popularity.'
    )


def test_one_of_another_package_is_found(third_party):
    third_party('theirs', 'glance_rawstore.eviction.oldest:Oldest')

    assert loading.load('theirs', 1.0).half_life == 1.0


@pytest.mark.parametrize(
    ('target', 'reason'),
    [
        ('tests.unit.eviction.absent:Policy', 'No module named'),
        ('tests.unit.eviction.test_loading:Absent', 'no attribute'),
        ('tests.unit.eviction.test_loading:NoPolicy', 'is no subclass of'),
        ('tests.unit.eviction.test_loading:third_party', 'is no subclass of'),
        ('tests.unit.eviction.test_loading:Unfinished', 'cannot be used'),
    ],
)
def test_one_that_cannot_be_used_is_refused(third_party, target, reason):
    third_party('theirs', target)

    with pytest.raises(exceptions.BadSetup, match=reason):
        loading.load('theirs', 1.0)


def test_a_name_that_two_packages_bring_is_refused(third_party):
    third_party('lru', 'glance_rawstore.eviction.oldest:Oldest')

    with pytest.raises(exceptions.BadSetup, match='several packages'):
        loading.load('lru', 1.0)
