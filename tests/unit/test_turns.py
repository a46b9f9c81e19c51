# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is, whoever comes, ends or dies when."""

import dataclasses
import itertools

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from glance_rawstore import turns


def ticket(key, arrived=0, turn=None):
    """One of the project that its key begins with."""
    return turns.Ticket(
        key, key[0], arrived, arrived if turn is None else turn
    )


def order(waiting, running=''):
    return ' '.join(t.key for t in turns.order(waiting, running))


def queue(*keys):
    """Who came in this order."""
    return [ticket(key, number) for number, key in enumerate(keys)]


def test_nobody_waits():
    assert order([]) == order([], 'ab') == ''


def test_within_a_project_who_came_first_is_first():
    assert order(reversed(queue('a1', 'a2', 'a3'))) == 'a1 a2 a3'


def test_projects_take_turns():
    waiting = queue('a1', 'a2', 'a3', 'b1', 'b2', 'c1')

    assert order(waiting) == 'a1 b1 c1 a2 b2 a3'


def test_the_project_of_which_least_runs_comes_first():
    assert order(queue('a1', 'b1', 'c1'), 'aab') == 'c1 b1 a1'


def test_a_project_with_nothing_under_way_comes_before_those_whose_end():
    """It came when they had had turns already, and all of them end at once."""
    waiting = [ticket('a3', 1, turn=5), ticket('b2', 2, turn=6)]

    assert order([*waiting, ticket('c1', 7)], 'ab') == 'c1 a3 b2'


@pytest.mark.parametrize(
    ('running', 'ending', 'free'),
    [(0, 0, 2), (2, 0, 0), (1, 2, 1), (0, 2, 2), (0, 3, 1), (1, 3, 0)],
)
def test_as_many_end_beside_those_that_run_and_any_more_take_a_slot(
    running, ending, free
):
    assert turns.free(2, running, ending) == free


def test_one_slot_goes_from_project_to_project():
    """Nothing runs when it is free, so it matters who had it last."""
    waiting = [ticket('a2', 1, turn=9), ticket('a3', 2, turn=9)]

    assert order([*waiting, ticket('b1', 5)]) == 'b1 a2 a3'
    assert order([*waiting, ticket('b1', 10)]) == 'a2 b1 a3'


def test_who_comes_at_the_same_time_has_an_order():
    waiting = [ticket('b1'), ticket('a1'), ticket('a2')]

    assert order(waiting) == order(reversed(waiting)) == 'a1 b1 a2'


# Whatever happens -----------------------------------------------------------


@dataclasses.dataclass
class Work:
    """One that comes, waits, converts and ends for so long; or dies."""

    key: str
    project: str
    arrives: int
    lasts: int
    ends: int
    dies: int | None
    turn: float = 0
    began: int | None = None
    ended: int | None = None


#: Project, arrival, duration until all is written, and until it is done from
#: then on, and death, if any.
works = st.lists(
    st.tuples(
        st.sampled_from('abcd'),
        st.integers(0, 30),
        st.integers(1, 9),
        st.integers(0, 9),
        st.none() | st.integers(0, 60),
    ),
    max_size=30,
)


class Node:
    """A clock, slots, and what slots.py does with both.

    :ivar begun: in this order
    """

    def __init__(self, count, work):
        self.count = count
        self.work = work
        self.now = 0
        self.begun = []

    def waiting(self):
        return [
            w
            for w in self.work
            if w.arrives <= self.now and w.began is None and w.ended is None
        ]

    def under_way(self):
        return [
            w for w in self.work if w.began is not None and w.ended is None
        ]

    def running(self):
        return [w for w in self.under_way() if w.began + w.lasts > self.now]

    def free(self):
        running, all_ = len(self.running()), len(self.under_way())
        return turns.free(self.count, running, all_ - running)

    def step(self):
        for work in self.under_way():
            done = work.began + work.lasts + work.ends <= self.now
            if done or self._dead(work):
                work.ended = self.now
        for work in self.waiting():
            if self._dead(work):
                work.ended = self.now
        while self.free() > 0 and self.waiting():
            self._begin()
        assert len(self.running()) <= self.count
        assert len(self.under_way()) <= 2 * self.count
        self.now += 1

    def _dead(self, work):
        return work.dies is not None and work.dies <= self.now

    def _begin(self):
        waiting = {w.key: w for w in self.waiting()}
        line = turns.order(
            [
                turns.Ticket(
                    w.key, w.project, w.arrives, max(w.turn, w.arrives)
                )
                for w in waiting.values()
            ],
            [w.project for w in self.under_way()],
        )
        first = waiting[line[0].key]
        first.began = self.now
        self.begun.append(first)
        for work in waiting.values():
            if work.project == first.project:
                work.turn = self.now + 0.5


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4), works)
def test_nobody_starves(count, drawn):
    work = [Work(f'{n:03}', *found) for n, found in enumerate(drawn)]
    node = Node(count, work)
    while any(w.ended is None for w in work):
        node.step()
        assert node.now < 1000, 'somebody waits for ever'

    began = [w for w in work if w.began is not None]
    for one, other in itertools.permutations(began, 2):
        if one.project == other.project and one.arrives < other.arrives:
            assert one.began <= other.began, 'first come, first served'


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 4), works)
def test_no_project_has_two_turns_while_another_waits_for_its_first(
    count, drawn
):
    work = [Work(f'{n:03}', *w[:4], None) for n, w in enumerate(drawn)]
    node = Node(count, work)
    #: What began since a project has waited with nothing of it under way.
    since = {}
    while any(w.ended is None for w in work):
        seen = len(node.begun)
        node.step()
        for first in node.begun[seen:]:
            since.pop(first.project, None)
            for others in since.values():
                assert others.count(first.project) == 0, 'it had its turn'
                others.append(first.project)
        idle = {w.project for w in node.waiting()}
        idle -= {w.project for w in node.under_way()}
        since = {project: since.get(project, []) for project in idle}


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 3), st.integers(1, 5))
def test_a_flood_of_new_projects_does_not_keep_one_from_its_second(
    count, flood
):
    """More come at each moment than can ever be served."""
    work = [Work('a1', 'a', 0, 1, 0, None), Work('a2', 'a', 0, 1, 0, None)]
    work += [
        Work(f'z{n}', f'z{n}', n // (count * flood), 1, 0, None)
        for n in range(200)
    ]
    node = Node(count, work)
    while work[1].began is None:
        node.step()

    assert node.now <= 3 + flood
