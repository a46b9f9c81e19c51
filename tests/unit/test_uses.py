# SPDX-License-Identifier: Apache-2.0
"""How often copies were handed out, in a raw pool in memory."""

import itertools

import pytest

from glance_rawstore import exceptions
from glance_rawstore import uses
from glance_rawstore.lifecycle.uses import Count
from tests.contract.uses import HOUR
from tests.contract.uses import NOW
from tests.contract.uses import UsesContract


class TestUses(UsesContract):
    """In memory."""

    def test_who_always_comes_second_is_told(self, world, monkeypatch):
        other, turns = world.other_node().ioctx, itertools.count()
        monkeypatch.setattr(uses, '_TRIES', 3)
        operate = type(world.pool.ioctx).operate_write_op

        def come_first(ioctx, operation, key):
            if ioctx is world.pool.ioctx and next(turns) < 10:
                uses.add(other, {'one': Count(1, NOW)}, HOUR)
            operate(ioctx, operation, key)

        monkeypatch.setattr(
            type(world.pool.ioctx), 'operate_write_op', come_first
        )

        with pytest.raises(exceptions.CephUnavailable):
            uses.add(world.pool.ioctx, {'one': Count(9, NOW)}, HOUR)

        assert uses.read(other, 'one').score == 3.0
