# SPDX-License-Identifier: Apache-2.0
"""Conversions are handed over, in any raw pool."""

from glance_rawstore import handover
from glance_rawstore import lease
from glance_rawstore.handover import Presence
from tests.waiting import eventually


class HandoverContract:
    """What one node offers, another one takes."""

    def test_nothing_is_offered_at_first(self, world):
        assert handover.all_offered(world.pool.ioctx) == {}
        assert handover.offered(world.pool.ioctx, 'one') is None
        handover.take(world.pool.ioctx, 'one')

    def test_what_is_offered_is_taken_once(self, world):
        handover.offer(world.pool.ioctx, 'one', 'task-1')
        handover.offer(world.pool.ioctx, 'two', 'task-2')
        other = world.other_node().ioctx

        assert handover.offered(other, 'two') == 'task-2'
        handover.take(other, 'one')
        handover.take(other, 'one')

        assert handover.all_offered(world.pool.ioctx) == {'two': 'task-2'}

    def test_what_is_asked_for_is_offered_without_a_task(self, world):
        ioctx = world.pool.ioctx
        handover.offer(ioctx, 'one', 'task-1')

        for image_id in ('one', 'two', 'two'):
            handover.ask(ioctx, image_id)

        assert handover.all_offered(ioctx) == {'one': 'task-1', 'two': ''}
        assert handover.offered(ioctx, 'two') == ''
        handover.take(ioctx, 'two')
        assert handover.all_offered(ioctx) == {'one': 'task-1'}

    def test_agents_are_counted_while_they_are_there(self, world):
        ioctx = world.pool.ioctx
        one, two = Presence(ioctx), Presence(world.other_node().ioctx)
        assert handover.attended(ioctx) is False

        one.show()
        one.show()
        two.show()

        assert lease.holders(ioctx, handover.OBJECT, handover._LOCK) == 2
        one.leave()
        one.leave()
        assert handover.attended(ioctx) is True
        two.leave()
        assert handover.attended(ioctx) is False

    def test_an_agent_that_is_heard_of_no_more_is_not_counted(
        self, world, monkeypatch
    ):
        monkeypatch.setattr(handover, 'DURATION', 1)
        gone = Presence(world.pool.ioctx)
        gone.show()

        world.pass_time(1.01)

        ioctx = world.other_node().ioctx
        # 16.2 was seen to take up to a second more
        eventually(lambda: not handover.attended(ioctx), 'it has run out')
        monkeypatch.setattr(handover, 'DURATION', 30)
        gone.show()
        assert handover.attended(world.other_node().ioctx) is True
        gone.leave()
