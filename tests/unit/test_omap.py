# SPDX-License-Identifier: Apache-2.0
"""Tables in a pool in memory."""

from tests.contract.omap import TABLE
from tests.contract.omap import TableContract


class TestTable(TableContract):
    """In memory."""

    def test_to_remove_from_nothing_makes_nothing(self, ioctx):
        assert TABLE.remove_where(ioctx, lambda _key, _value: True) == 0
        assert not TABLE.remove_unchanged(ioctx, 'a', b'1')
        TABLE.remove(ioctx, 'a')

        assert TABLE.name not in ioctx.pool.strays
