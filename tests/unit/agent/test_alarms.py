# SPDX-License-Identifier: Apache-2.0
"""Copies that cannot be opened are told of, once each."""

import logging

from glance_rawstore import inventory
from glance_rawstore.agent import service
from glance_rawstore.agent.alarms import Alarms
from glance_rawstore.agent.passes import Passes


def damaged(world):
    image_id, rbd_id = world.copy()
    world.damage(rbd_id)
    return inventory.of_image(world.pool, image_id)[0]


def warnings(caplog):
    return [r.getMessage() for r in caplog.records if r.levelname == 'WARNING']


def test_each_is_told_once_while_it_is_there(world, caplog):
    alarms = Alarms()
    first, second = damaged(world), damaged(world)

    alarms.tell([first])
    alarms.tell([first, second])
    alarms.tell([first, second])
    assert warnings(caplog) == [first.alarm, second.alarm]
    alarms.tell([])
    alarms.tell([first])

    assert warnings(caplog)[2:] == [first.alarm], 'it was mended in between'


def test_it_says_which_and_where_to_read_what_to_do(world):
    copy = damaged(world)

    for part in (copy.image_id, copy.rbd_id, 'images_raw', 'paged'):
        assert part in copy.alarm


def test_an_agent_reaps_the_others_and_warns_once(world, caplog):
    kept, free = (world.copy() for _ in range(2))
    for image_id, _ in (kept, free):
        with world.pool.image(f'{image_id}_raw'):  # so that it waits there
            world.pool.delete(image_id)
    world.damage(kept[1])
    store = type('Store', (), {'rbd': world.settings})
    reaper = service.Reaper(0, Passes(), store, 60)

    with caplog.at_level(logging.WARNING):
        reaper.look()
        reaper.look()

    assert world.trash() == [kept[1]]
    (warning,) = warnings(caplog)
    assert kept[0] in warning
    assert kept[1] in warning
