# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore delete``"""

import dataclasses
import json
import uuid

import pytest

from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore.agent.node import Node
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.orders import Order
from tests.contract.world import volumes
from tests.unit.tasks.conftest import ID

OTHER = str(uuid.uuid4())


@pytest.fixture
def copied(work):
    """An image with its copy."""
    work.run()
    return work


@pytest.fixture
def properties(work):
    return lambda: work.catalog.images[ID].properties


def test_a_copy_is_deleted_and_who_wishes_for_it_gets_another(
    on_node, copied, properties
):
    status, out, _ = on_node('delete', '--yes', ID)

    assert status == 0
    assert out == (
        f'deleted           {ID}  the image wishes for it: an agent makes it '
        'again; see --unset\n'
    )
    copied.assert_nothing_is_left()
    assert properties() == {'raw_cache': 'true'}
    assert 'make copy' in on_node('reconcile', '--dry-run')[1]


def test_the_wish_can_be_taken_off_as_well(on_node, copied, properties):
    status, out, _ = on_node('delete', '--yes', '--unset', ID)

    assert (status, out) == (0, f'deleted           {ID}\n')
    assert properties() == {}
    assert on_node('reconcile', '--dry-run')[1] == 'nothing to do\n'


def test_a_wish_by_default_is_denied(
    on_node, copied, node, properties, monkeypatch
):
    options = dataclasses.replace(node.options, by_default=True)
    other = dataclasses.replace(node, options=options)
    monkeypatch.setattr(Node, 'start', lambda files, store: other)

    assert on_node('delete', '--yes', '--unset', ID)[0] == 0

    assert properties() == {'raw_cache': 'false'}


def test_one_that_was_ordered_is_not_made_again(on_node, copied):
    copied.catalog.change(ID, properties={})

    assert on_node('delete', '--yes', ID)[1] == f'deleted           {ID}\n'


def test_one_that_clones_need_waits_in_the_trash(on_node, copied, world):
    with volumes(world, 2) as consumer:
        consumer.clone(ID, 'child')

        _, out, _ = on_node('delete', '--dry-run', ID)
        assert 'clones: 1, so it goes to the trash' in out
        status, out, _ = on_node('delete', '--yes', '--format=json', ID)

    assert status == 0
    assert json.loads(out)[0]['in_trash'] is True
    assert copied.location() is None
    event, said = copied.catalog.told[-1]
    assert (str(event), said['in_use']) == ('image.raw_copy.delete', True)


def test_what_is_being_made_is_stopped(on_node, work):
    """And what is known of the image is forgotten."""
    ioctx = work.world.pool.ioctx

    def delete(calls):
        assert on_node('delete', '--yes', '--unset', ID)[0] == 0

    work.converter.during = delete
    evicted.note(ioctx, ID, Evicted(1.0, 'lru', 5))
    orders.give(ioctx, ID, Order(1.0, 'req'))
    handover.offer(ioctx, ID, 'task')

    task = work.run()

    assert task.status == 'failure'
    assert 'deleted while it was being made' in task.message
    work.assert_nothing_is_left()
    assert evicted.read_all(ioctx) == orders.read_all(ioctx) == {}
    assert handover.all_offered(ioctx) == {}


def test_the_copy_of_an_image_that_is_gone_can_be_deleted(on_node, world):
    image_id, _ = world.copy()

    assert on_node('delete', '--yes', image_id)[0] == 0

    assert world.names() == world.trash() == []


def test_all_are_the_active_and_the_pending_ones(on_node, world):
    found = {world.copy()[0], world.begin()[0]}

    _, out, _ = on_node('delete', '--all', '--dry-run')
    assert {line.split()[3] for line in out.splitlines()[:-1]} == found
    assert on_node('delete', '--all', '--yes')[0] == 0
    assert world.names() == []


def test_without_a_yes_nothing_is_done(on_node, copied, world):
    status, _, err = on_node('delete', '--unset', ID)

    assert status == 2
    assert f'  {ID}  active, 20.5 KiB used\n' in err
    assert len(world.names()) == 1


def test_what_is_not_there_does_not_keep_the_others(on_node, copied):
    status, out, _ = on_node('delete', '--yes', OTHER, 'x', ID)

    assert status == 3
    assert out.splitlines()[-1] == '2 not found, 1 deleted'
    copied.assert_nothing_is_left()


def test_an_order_that_nobody_has_begun_is_withdrawn(on_node, work, world):
    work.catalog.change(ID, properties={})
    presence = handover.Presence(world.pool.ioctx)
    presence.show()
    on_node('convert', ID)

    status, out, _ = on_node('delete', '--yes', ID)

    presence.leave()
    assert (status, out) == (
        0,
        f'withdrawn         {ID}  it was ordered, not begun\n',
    )
    (task,) = work.catalog.tasks.values()
    assert (task.status, 'not wanted any more' in task.message) == (
        'failure',
        True,
    )
    assert handover.all_offered(world.pool.ioctx) == {}
    assert on_node('reconcile', '--dry-run')[1] == 'nothing to do\n'
