# SPDX-License-Identifier: Apache-2.0
"""What is counted of a moment, and what the counts mean."""

import pytest

from glance_rawstore import exceptions
from glance_rawstore.lifecycle import tally


def summed(*moments):
    found = {}
    for additions in moments:
        for key, value in additions.items():
            found[key] = found.get(key, 0.0) + value
    return tally.parse(found)


@pytest.mark.parametrize(
    ('why', 'reason'),
    [
        (exceptions.NoSpace(), 'no_space'),
        (exceptions.CephUnavailable(), 'ceph_unavailable'),
        (exceptions.UnsafeImage('Bad.', ('data_file',)), 'unsafe_image'),
        (exceptions.TooLarge('Image 6e0f is too large.'), 'too_large'),
        (RuntimeError('secret'), 'internal'),
    ],
)
def test_a_failure_is_counted_by_its_reason_without_its_text(why, reason):
    found = summed(tally.ended(why))

    assert {r for r, n in found.failures.items() if n} == {reason}
    assert found.failures[reason] == 1
    assert found.results['failed'] == 1


@pytest.mark.parametrize(
    'why', [exceptions.CopyExists(), exceptions.LeaseHeld()]
)
def test_nothing_to_do_counts_for_nothing(why):
    assert tally.ended(why) == {}


def test_an_end_for_other_reasons_is_no_failure():
    found = summed(
        tally.ended(exceptions.LeaseLost()),
        tally.ended(exceptions.ImageDeleted()),
        tally.ended(exceptions.Interrupted(), handed_over=True),
    )

    assert found.results == {
        'succeeded': 0,
        'failed': 0,
        'cancelled': 1,
        'handed_over': 1,
    }
    assert found.lease_losses == 1
    assert set(found.failures.values()) == {0}


def test_durations_are_counted_below_each_bound():
    found = summed(*(tally.succeeded(s, 10) for s in (0.5, 1.0, 20, 1e6)))

    below = dict(zip((*tally.BUCKETS, 'inf'), found.buckets, strict=True))
    assert (below[1.0], below[5.0], below[30.0]) == (2, 2, 3)
    assert (below[14400.0], below['inf']) == (3, 4)
    assert found.written == 40


def test_every_error_has_a_reason_that_is_a_label():
    def every(root):
        yield root
        for child in root.__subclasses__():
            yield from every(child)

    for kind in every(exceptions.RawStoreError):
        name = tally.reason(kind.__new__(kind))
        assert name.isidentifier()
        assert name == name.lower()


def test_every_reason_is_told_before_it_happens():
    found = tally.parse({})

    assert set(found.failures) == set(tally.REASONS)
    assert {'no_space', 'over_budget', 'too_large', 'internal'} <= set(
        tally.REASONS
    )
    assert 'lease_lost' not in tally.REASONS


def test_a_policy_of_any_name_makes_one_key():
    found = summed(tally.evicted('my/own policy', 3))

    assert found.evictions == {'my_own_policy': 1}
    assert found.evicted_bytes == {'my_own_policy': 3}
