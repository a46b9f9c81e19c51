# SPDX-License-Identifier: Apache-2.0
"""Tables in the omap of one object."""

import pytest

from glance_rawstore import omap

TABLE = omap.Table('glance_rawstore.test')


@pytest.fixture
def ioctx(world):
    """An open raw pool."""
    return world.pool.ioctx


def test_what_is_not_wanted_is_removed(ioctx):
    TABLE.write_all(ioctx, {'a': b'1', 'b': b'2', 'c': b'1'})

    assert TABLE.remove_where(ioctx, lambda _key, value: value == b'1') == 2

    assert TABLE.read_all(ioctx) == {'b': b'2'}


def test_what_is_written_anew_while_it_is_judged_is_kept(ioctx):
    TABLE.write(ioctx, 'a', b'old')

    def judged(key, _value):
        TABLE.write(ioctx, key, b'new')
        return True

    assert TABLE.remove_where(ioctx, judged) == 0
    assert TABLE.read_all(ioctx) == {'a': b'new'}


def test_what_is_removed_while_it_is_judged_does_not_come_back(ioctx):
    TABLE.write(ioctx, 'a', b'old')

    def judged(key, _value):
        TABLE.remove(ioctx, key)
        return True

    TABLE.remove_where(ioctx, judged)

    assert TABLE.read_all(ioctx) == {}


def test_what_is_not_text_is_removed_as_well(ioctx):
    TABLE.write(ioctx, 'a', b'\xff')

    assert TABLE.remove_where(ioctx, lambda _key, _value: True) == 1
    assert TABLE.read_all(ioctx) == {}


def test_to_remove_from_nothing_makes_nothing(ioctx):
    assert TABLE.remove_where(ioctx, lambda _key, _value: True) == 0
    TABLE.remove(ioctx, 'a')

    assert TABLE.name not in ioctx.pool.strays
