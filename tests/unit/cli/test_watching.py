# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore list --watch``"""

import json
import re
import time

import pytest
from rich import console

from glance_rawstore.cli import watching
from glance_rawstore.lifecycle.budget import Budget
from tests.contract.world import volumes

GIB = 1 << 30
BUDGET = Budget(
    limit=10 * GIB, high=9 * GIB, low=8 * GIB, used=4 * GIB, reserved=1 * GIB
)


@pytest.fixture
def naps(monkeypatch):
    """In the place of sleep: does something at each, and ends the last."""

    def patch(*actions):
        left = list(actions)

        def sleep(seconds):
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr(time, 'sleep', sleep)

    return patch


def looks(out):
    """Each look's lines, without the time above."""
    return [look.splitlines()[1:] for look in out.split('\n\n') if look]


def test_a_pipe_gets_the_list_whenever_it_changes(command, world, naps):
    image_id, rbd_id = world.begin()
    naps(
        lambda: None,
        lambda: world.pool.set_progress(image_id, rbd_id, 42),
        lambda: world.pool.delete(image_id),
    )

    status, out, err = command('list', '--watch')

    assert (status, err) == (130, '')
    first, second, last = looks(out)
    assert first[0].split()[:3] == ['IMAGE', 'STATUS', 'DONE']
    assert first[1].split()[:3] == [image_id, 'pending', '0%']
    assert second[1].split()[:3] == [image_id, 'pending', '42%']
    assert len(last) == 1


def test_what_is_being_made_comes_first(command, world, naps):
    with volumes(world, 2) as consumer:
        trashed, active = world.copy()[0], world.copy()[0]
        consumer.clone(trashed, 'child')
        world.pool.delete(trashed)
        pending, _ = world.begin()
        naps()

        _, out, _ = command('list', '--watch')

    (lines,) = looks(out)
    assert [line.split()[0] for line in lines[1:]] == [
        pending,
        active,
        trashed,
    ]


def test_a_program_gets_a_line_for_each_look(command, world, naps):
    image_id, _ = world.copy()
    naps(lambda: None)

    _, out, _ = command('list', '--watch', '--format=json')

    one, two = map(json.loads, out.splitlines())
    assert one['copies'][0]['image_id'] == image_id
    assert one['budget'] is None
    assert one['at'] <= two['at']


def test_a_budget_is_shown_with_what_is_used(command, world, naps, tmp_path):
    world.copy()
    with (tmp_path / 'glance-api.conf').open('a') as file:
        file.write('raw_cache_budget = 1GiB\n')
    naps()

    _, out, _ = command('list', '--watch', '--format=json')
    assert json.loads(out)['budget'] == {
        'limit_bytes': GIB,
        'high_watermark_bytes': GIB * 95 // 100,
        'low_watermark_bytes': GIB * 80 // 100,
        'used_bytes': json.loads(out)['copies'][0]['bytes_used'],
        'reserved_bytes': 0,
    }
    naps()
    _, out, _ = command('list', '--watch')
    assert 'of a budget of 1.0 GiB (0%)' in out


def test_a_cluster_that_is_away_for_a_while_does_not_end_it(
    command, world, naps
):
    world.copy()

    def away():
        world.cluster.away = True

    def back():
        world.cluster.away = False

    naps(away, back, lambda: None)

    status, out, err = command('list', '--watch', '0.5')

    assert status == 130
    assert 'did not answer' in err
    assert len(looks(out)) == 1


def test_a_budget_in_a_line():
    assert watching.budget_text(BUDGET) == (
        '4.0 GiB used and 1.0 GiB reserved of a budget of 10.0 GiB (50%); '
        'eviction from 9.0 GiB down to 8.0 GiB'
    )


@pytest.mark.parametrize('limit', [0, 10 * GIB])
def test_a_terminal_gets_a_bar_and_a_table(limit, capsys):
    seen = watching.Seen([], Budget(limit, 0, 0, 4 * GIB, 0))

    shown = console.Console(force_terminal=True, width=120)
    shown.print(watching._picture(seen))

    out = re.sub(r'\x1b\[[0-9;]*m', '', capsys.readouterr().out)
    assert '━━━' in out
    assert '4.0 GiB used' in out
    assert 'IMAGE' in out
