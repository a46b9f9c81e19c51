# SPDX-License-Identifier: Apache-2.0
"""When an attempt at a copy is made again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore.lifecycle import attempts
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.attempts import Retry

RETRY = Retry(delay=60, limit=5)
NOW = 1_000_000.0

values = st.builds(
    Attempts,
    count=st.integers(1, 100),
    refused=st.booleans(),
    error=st.text(),
    at=st.floats(0, 2e9),
    version=st.text(),
)


def failed(count, refused=False, version='1/1'):
    return Attempts(count, refused, 'It was full.', NOW, version)


@given(values)
def test_what_is_written_is_read(value):
    assert attempts.decode(attempts.encode(value)) == value


def test_how_it_lies_in_ceph_does_not_change():
    assert attempts.encode(failed(2)) == (
        b'{"at": 1000000.0, "count": 2, "error": "It was full.", '
        b'"refused": false, "version": "1/1"}'
    )


@pytest.mark.parametrize(
    'data', [b'', b'{}', b'[]', b'3', b'\xff', b'{"count": "x"}']
)
def test_what_is_not_readable_counts_for_nothing(data):
    assert attempts.decode(data) is None


def test_the_first_attempt_is_made_at_once():
    assert RETRY.after(None, '1/1') == 0


@pytest.mark.parametrize(
    ('count', 'delay'), [(1, 60), (2, 120), (3, 240), (4, 480), (5, None)]
)
def test_delays_grow_until_it_is_given_up(count, delay):
    expected = None if delay is None else NOW + delay

    assert RETRY.after(failed(count), '1/1') == expected


def test_no_delay_is_longer_than_an_hour():
    assert Retry(60, 1000).after(failed(999), '1/1') == NOW + 3600


def test_what_was_refused_is_not_tried_again():
    assert RETRY.after(failed(1, refused=True), '1/1') is None


def test_a_changed_image_lifts_the_refusal():
    assert RETRY.after(failed(1, refused=True), '2/1') == 0


def test_a_changed_image_lifts_the_limit_but_not_the_first_delay():
    """Who changes an image without end must not convert without end."""
    assert RETRY.after(failed(9), '2/1') == NOW + 60


def test_the_version_is_of_the_image_and_of_the_largest_size():
    one = attempts.version(1.0, 10)

    assert one == attempts.version(1.0, 10)
    assert one != attempts.version(2.0, 10)
    assert one != attempts.version(1.0, 20)
