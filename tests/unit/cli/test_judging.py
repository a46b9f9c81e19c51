# SPDX-License-Identifier: Apache-2.0
"""What is well and what is not."""

import dataclasses

import pytest

from glance_rawstore.agent.sight import Failing
from glance_rawstore.agent.sight import Pending
from glance_rawstore.agent.sight import Sight
from glance_rawstore.agent.sight import Trashed
from glance_rawstore.cli import judging
from glance_rawstore.cli.judging import Condition
from glance_rawstore.cli.judging import Level
from glance_rawstore.cli.judging import Limits
from glance_rawstore.lifecycle import tally
from glance_rawstore.lifecycle.budget import Budget

NOW = 1_000_000.0
LIMITS = Limits(agents=2, stuck=(600, 3600), given_up=2)
WELL = Sight(
    active=3,
    active_bytes=300,
    pending=(),
    trashed=(),
    trashed_bytes=0,
    failing=Failing(),
    evicted=0,
    budget=None,
    handed_over=0,
    agents=2,
    tally=tally.parse({}),
)


def judged(rights=None, unreaped=(), space=None, **facts):
    sight = dataclasses.replace(WELL, **facts)
    seen = Condition(sight, rights or {}, unreaped, space)
    found = judging.judge(seen, LIMITS, NOW)
    return [(f.level, f.text) for f in found]


def pending(age, attended=False, image_id='6e0f'):
    return (Pending(image_id, attended, NOW - age),)


def test_nothing_is_wrong_where_nothing_is():
    assert judged(rights={'read': True}) == []


@pytest.mark.parametrize(
    ('facts', 'expected'),
    [
        (
            {'rights': {'write the raw pool': False}},
            (Level.CRITICAL, 'the cephx user cannot write the raw pool'),
        ),
        ({'agents': 0}, (Level.CRITICAL, 'no agent is there')),
        ({'agents': 1}, (Level.WARNING, '1 of 2 agents are there')),
        (
            {'pending': pending(600)},
            (
                Level.WARNING,
                '1 copy pending without a worker for up to 10 min: 6e0f',
            ),
        ),
        (
            {'pending': pending(7200) + pending(601, image_id='41c2')},
            (
                Level.CRITICAL,
                '2 copies pending without a worker for up to 2 h: 6e0f, 41c2',
            ),
        ),
        (
            {'unreaped': (86400.0 * 2, 5.0)},
            (
                Level.CRITICAL,
                '1 copy deleted, unused and not reaped for up to 2 d',
            ),
        ),
        (
            {'failing': Failing(given_up=('a', 'b'))},
            (Level.WARNING, 'the copies of 2 images were given up: a, b'),
        ),
        (
            {'failing': Failing(given_up=tuple('abcdefghi'))},
            (
                Level.WARNING,
                'the copies of 9 images were given up: a, b, c, ...',
            ),
        ),
        ({'space': (96, 100)}, (Level.WARNING, 'the raw pool is 96% full')),
        ({'space': (100, 100)}, (Level.CRITICAL, 'the raw pool is 100% full')),
        (
            {'budget': Budget(100, 95, 80, 100, 20)},
            (Level.WARNING, '120% of the budget is used'),
        ),
    ],
)
def test_what_is_wrong_is_said(facts, expected):
    assert judged(**facts) == [expected]


@pytest.mark.parametrize(
    'facts',
    [
        {'pending': pending(599)},
        {'pending': pending(1e6, attended=True)},
        {'pending': (Pending('6e0f', attended=False, created=None),)},
        {'trashed': (Trashed('6e0f', '1', 0.0),)},
        {'failing': Failing(refused=9, given_up=('a',), retried=9)},
        {'budget': Budget(100, 95, 80, 80, 20)},
        {'budget': Budget(None, 0, 0, 80, 20)},
        {'evicted': 5, 'handed_over': 1},
        # what a budget of all of the pool lets be used
        {'space': (95, 100)},
    ],
)
def test_what_is_usual_is_not_said(facts):
    assert judged(**facts) == []


def test_the_worst_comes_first():
    found = judged(agents=1, rights={'fence': False})

    assert [level for level, _ in found] == [Level.CRITICAL, Level.WARNING]


def test_a_limit_of_none_is_never_reached():
    sight = dataclasses.replace(WELL, failing=Failing(given_up=('a', 'b')))
    limits = dataclasses.replace(LIMITS, given_up=0)

    assert judging.judge(Condition(sight, {}, ()), limits, NOW) == []


def test_the_line_is_one_and_has_figures_to_plot():
    findings = judging.judge(
        Condition(dataclasses.replace(WELL, agents=0), {}, ()), LIMITS, NOW
    )

    assert judging.line(findings, WELL) == (
        'RAWSTORE CRITICAL - no agent is there | active=3 pending=0 '
        'pending_delete=0 size=300B agents=2'
    )
    assert judging.line([], WELL).startswith(
        'RAWSTORE OK - 3 active, 0 pending, 0 waiting to be deleted | '
    )


@pytest.mark.parametrize(
    ('seconds', 'said'),
    [(0, '0 s'), (59, '59 s'), (60, '1 min'), (7200, '2 h'), (1e6, '12 d')],
)
def test_durations_are_said_in_their_largest_unit(seconds, said):
    assert judging.duration(seconds) == said
