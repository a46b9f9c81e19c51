# SPDX-License-Identifier: Apache-2.0
"""No object of ours is forgotten when a pool is cleaned up."""

import re
from pathlib import Path

import glance_rawstore
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore import tables
from glance_rawstore.orders import Order

PACKAGE = Path(glance_rawstore.__file__).parent


def test_every_object_that_a_module_names_is_there():
    found = {
        name
        for path in PACKAGE.rglob('*.py')
        for name in re.findall(
            r"^OBJECT = '(glance_rawstore\.\w+)'", path.read_text(), re.M
        )
    }

    assert found == set(tables.OBJECTS)


def test_those_that_are_there_are_removed_and_that_can_be_repeated(world):
    ioctx = world.pool.ioctx
    orders.give(ioctx, 'image', Order(1.0, 'req'))
    handover.offer(ioctx, 'image', 'task')

    assert set(tables.remove_all(ioctx)) == {orders.OBJECT, handover.OBJECT}
    assert tables.remove_all(ioctx) == []
    assert orders.read_all(ioctx) == handover.all_offered(ioctx) == {}
