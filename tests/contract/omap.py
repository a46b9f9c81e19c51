# SPDX-License-Identifier: Apache-2.0
"""Tables in the omap of one object, in any raw pool."""

import pytest

from glance_rawstore import omap

TABLE = omap.Table('glance_rawstore.test')


class TableContract:
    """Entries are removed by who has read them, and nobody else's are."""

    @pytest.fixture
    def ioctx(self, world):
        """An open raw pool, without the table."""
        yield world.pool.ioctx
        for key in TABLE.read_all(world.pool.ioctx):
            TABLE.remove(world.pool.ioctx, key)

    def test_what_is_not_wanted_is_removed(self, ioctx):
        TABLE.write_all(ioctx, {'a': b'1', 'b': b'2', 'c': b'1'})

        assert (
            TABLE.remove_where(ioctx, lambda _key, value: value == b'1') == 2
        )

        assert TABLE.read_all(ioctx) == {'b': b'2'}

    def test_what_is_written_anew_while_it_is_judged_is_kept(self, ioctx):
        TABLE.write(ioctx, 'a', b'old')

        def judged(key, _value):
            TABLE.write(ioctx, key, b'new')
            return True

        assert TABLE.remove_where(ioctx, judged) == 0
        assert TABLE.read_all(ioctx) == {'a': b'new'}

    def test_what_is_removed_while_it_is_judged_does_not_come_back(
        self, ioctx
    ):
        TABLE.write(ioctx, 'a', b'old')

        def judged(key, _value):
            TABLE.remove(ioctx, key)
            return True

        TABLE.remove_where(ioctx, judged)

        assert TABLE.read_all(ioctx) == {}

    def test_who_names_another_value_removes_nothing(self, ioctx):
        assert not TABLE.remove_unchanged(ioctx, 'a', b'1'), (
            'nor makes anything'
        )
        TABLE.write(ioctx, 'b', b'2')

        assert not TABLE.remove_unchanged(ioctx, 'a', b'1')
        assert not TABLE.remove_unchanged(ioctx, 'b', b'1')
        assert TABLE.read_all(ioctx) == {'b': b'2'}

        assert TABLE.remove_unchanged(ioctx, 'b', b'2')
        assert TABLE.read_all(ioctx) == {}

    def test_what_is_not_text_is_removed_as_well(self, ioctx):
        TABLE.write(ioctx, 'a', b'\xff')

        assert TABLE.remove_where(ioctx, lambda _key, _value: True) == 1
        assert TABLE.read_all(ioctx) == {}
