# SPDX-License-Identifier: Apache-2.0
"""What is noted of evictions, in a raw pool in memory."""

import pytest

from glance_rawstore.lifecycle import evicted
from tests.contract.evicted import ONE
from tests.contract.evicted import DeleteOneContract
from tests.contract.evicted import EvictedContract


class TestEvicted(EvictedContract):
    """In memory."""


class TestDeleteOne(DeleteOneContract):
    """In memory."""


def test_it_is_read_as_it_was_written():
    written = evicted.encode(ONE)

    assert written == (
        b'{"at": 17.5, "bytes": 4096, "policy": "lru", "rbd_id": "5e1"}'
    )
    assert evicted.decode(written) == ONE


def test_the_id_may_be_missing():
    read = evicted.decode(b'{"at": 1, "bytes": 2, "policy": "operator"}')

    assert read == evicted.Evicted(1.0, 'operator', 2)


@pytest.mark.parametrize(
    'data', [b'', b'\xff', b'[]', b'{}', b'{"at": "x"}', b'7', b'null']
)
def test_what_cannot_be_read_is_nothing(data):
    assert evicted.decode(data) is None


@pytest.mark.parametrize(
    ('asked', 'over'), [(None, False), (17.5, False), (17.6, True)]
)
def test_it_is_over_when_it_was_asked_for_since(asked, over):
    assert ONE.is_over(asked) is over
