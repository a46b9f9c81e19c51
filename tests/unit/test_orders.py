# SPDX-License-Identifier: Apache-2.0
"""Orders lie in the raw pool, where every node sees them."""

import uuid

from glance_rawstore import omap
from glance_rawstore import orders
from glance_rawstore.orders import Order

ONE, TWO = str(uuid.uuid4()), str(uuid.uuid4())


def test_every_node_sees_an_order_until_it_is_forgotten(world):
    orders.give(world.pool.ioctx, ONE, Order(5.0, 'req-1'))
    other = world.other_node().ioctx

    assert orders.read(other, ONE) == Order(5.0, 'req-1')
    assert orders.read(other, TWO) is None
    assert orders.read_all(other) == {ONE: Order(5.0, 'req-1')}

    orders.forget(other, ONE)
    orders.forget(other, ONE)
    assert orders.read_all(world.pool.ioctx) == {}


def test_what_cannot_be_read_is_an_order_all_the_same(world):
    ioctx = world.pool.ioctx
    for value in (b'', b'[]', b'{}', b'{"at": "soon", "request_id": ""}'):
        omap.Table(orders.OBJECT).write(ioctx, ONE, value)

        assert orders.read(ioctx, ONE) == Order(0.0, '')


def test_forgetting_one_that_never_was_makes_no_object(world):
    orders.forget(world.pool.ioctx, ONE)

    assert orders.OBJECT not in world.cluster.pools['images_raw'].omaps
