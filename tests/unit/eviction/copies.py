# SPDX-License-Identifier: Apache-2.0
"""Candidates for eviction, made up."""

from hypothesis import strategies as st

from glance_rawstore.eviction.base import Candidate
from glance_rawstore.eviction.base import Usage

NOW = 2e9
DAY = 86400.0
HALF_LIFE = 7 * DAY

USAGE = Usage(used=96, limit=100, high=95, low=80)

times = st.floats(0, NOW)


def candidate(name, **values):
    usual = {
        'bytes_used': 1,
        'created': NOW - 100 * DAY,
        'last_used': None,
        'score': 0.0,
        'scored_at': NOW,
    }
    return Candidate(image_id=name, rbd_id=name, **{**usual, **values})


def several():
    """Any candidates, no two of one RBD image."""
    one = st.builds(
        Candidate,
        image_id=st.uuids().map(str),
        rbd_id=st.text('0123456789abcdef', min_size=1, max_size=4),
        bytes_used=st.integers(0, 2**50),
        created=times,
        last_used=st.none() | times,
        score=st.floats(0, 1e6),
        scored_at=times,
    )
    return st.lists(one, unique_by=lambda found: found.rbd_id)


usages = st.builds(
    Usage,
    used=st.integers(0, 2**50),
    limit=st.integers(1, 2**50),
    high=st.integers(1, 2**50),
    low=st.integers(0, 2**50),
)
