# SPDX-License-Identifier: Apache-2.0
"""What an operator has ordered is made without a wish, and stays."""

import pytest

from glance_rawstore import orders
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.orders import Order
from tests.unit.tasks.conftest import ID


@pytest.fixture
def ordered(work):
    work.catalog.change(ID, properties={})
    orders.give(work.world.pool.ioctx, ID, Order(1.0, 'req-1'))
    return work


def meta(work):
    with work.world.pool.image(raw_copy.name(ID)) as image:
        return dict(image.metadata_list())


def test_it_is_made_and_says_that_it_was_not_wished_for(ordered):
    assert ordered.run().status == 'success'

    assert raw_copy.META_BY_WISH not in meta(ordered)
    assert orders.read(ordered.world.pool.ioctx, ID) is None


def test_one_that_is_wished_for_as_well_goes_with_the_wish(ordered):
    ordered.catalog.change(ID, properties={'raw_cache': 'true'})

    assert ordered.run().status == 'success'

    assert raw_copy.META_BY_WISH in meta(ordered)
    assert orders.read(ordered.world.pool.ioctx, ID) is None


def test_what_a_tenant_does_not_want_is_not_made(ordered):
    ordered.catalog.change(ID, properties={'raw_cache': 'false'})

    task = ordered.run()

    assert task.message == 'No raw copy is wanted any more.'
    ordered.assert_nothing_is_left()


def test_an_order_stays_until_the_copy_is_there(ordered):
    ordered.catalog.add(ID, b'no qcow2'.ljust(5000), properties={})

    assert ordered.run().status == 'failure'

    assert orders.read(ordered.world.pool.ioctx, ID) is not None
