# SPDX-License-Identifier: Apache-2.0
"""Glance refuses to start with a set-up that would lose or mix data."""

from collections.abc import Iterator

import pytest

from tests.cloud import Cloud
from tests.processes import ProcessError


@pytest.fixture
def stopped(cloud: Cloud) -> Iterator[Cloud]:
    """The cloud with its API stopped; it is as before afterwards."""
    cloud.stop()
    try:
        yield cloud
    finally:
        cloud.kill()
        cloud.configure(
            {
                'glance_store': {'default_backend': 'ceph'},
                'raw': {'rbd_store_pool': cloud.raw_pool, 'weight': -1000},
                'ceph': {'weight': 0},
            }
        )
        cloud.start()


@pytest.mark.parametrize(
    ('overrides', 'words'),
    [
        (
            {'raw': {'rbd_store_pool': 'images'}},
            'shares the pool images with store ceph',
        ),
        (
            {'glance_store': {'default_backend': 'raw'}},
            'is the default_backend',
        ),
        (
            {'raw': {'weight': 5}, 'ceph': {'weight': 5}},
            'is not below that of store',
        ),
    ],
)
def test_a_wrong_set_up_refuses_to_start_and_says_what_to_change(
    stopped: Cloud, overrides: dict[str, dict[str, object]], words: str
) -> None:
    stopped.configure(overrides)
    with pytest.raises(ProcessError):
        stopped.start()
    assert words in stopped.log()
    assert 'in [raw]' in stopped.log() or 'in [glance_store]' in stopped.log()
