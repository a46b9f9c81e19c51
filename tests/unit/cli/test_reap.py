# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore reap``"""

import json
import time

import pytest

from glance_rawstore import ceph
from tests.contract.world import DATA
from tests.contract.world import volumes


@pytest.fixture
def trashed(world):
    """(image that a clone uses, image whose last clone is gone)."""
    with volumes(world, 2) as consumer:
        found = world.copy()[0], world.copy()[0]
        for image_id in found:
            consumer.clone(image_id, image_id)
            world.pool.delete(image_id)
        consumer.remove(found[1])
        yield found


def test_what_was_removed_and_what_is_in_use_is_told(command, trashed):
    used, free = trashed

    status, out, err = command('reap')

    assert (status, err) == (0, '')
    assert out.splitlines() == [
        f'removed  {free}',
        f'in use   {used}',
        '1 removed, 20.5 KiB freed, 1 still in use',
    ]


def test_a_program_is_told_in_bytes(command, trashed):
    used, free = trashed

    _, out, _ = command('reap', '--format=json')

    assert json.loads(out) == {
        'removed': [free],
        'in_use': [used],
        'damaged': [],
        'freed_bytes': len(DATA),
    }


def test_nothing_to_reap_is_no_failure(command):
    status, out, _ = command('reap')

    assert status == 0
    assert out == '0 removed, 0 Bytes freed, 0 still in use\n'


class Naps:
    """In the place of sleep: does something at each, and ends the last."""

    def __init__(self, *actions):
        self.seconds = []
        self._actions = list(actions)

    def __call__(self, seconds):
        self.seconds.append(seconds)
        if not self._actions:
            raise KeyboardInterrupt
        self._actions.pop(0)()


def nothing():
    pass


@pytest.fixture
def naps(monkeypatch):
    def patch(*actions):
        found = Naps(*actions)
        monkeypatch.setattr(time, 'sleep', found)
        return found

    return patch


def test_reaping_goes_on_until_it_is_interrupted(command, naps, trashed):
    found = naps(nothing, nothing)

    status, out, err = command('reap', '--watch', '7')

    assert status == 130
    assert err == ''
    assert found.seconds == [7.0] * 3
    assert out.count('still in use\n') == 1, 'news only'


def test_what_comes_later_is_reaped_then(world, command, naps):
    image_id, _ = world.copy()
    with volumes(world, 2) as consumer:
        consumer.clone(image_id, 'child')
        naps(
            lambda: world.pool.delete(image_id),
            lambda: consumer.remove('child'),
        )

        _, out, _ = command('reap', '--watch')

    assert f'in use   {image_id}' in out
    assert f'removed  {image_id}' in out
    assert world.trash() == []


def test_a_cluster_that_is_away_for_a_while_does_not_end_the_watch(
    world, command, naps, trashed
):
    """Who goes on for ever must not need somebody to start it again."""

    def away():
        world.cluster.away = True

    def back():
        world.cluster.away = False

    found = naps(away, back, nothing)

    try:
        status, _, _ = command('reap', '--watch')
    finally:
        back()

    assert len(found.seconds) == 4
    assert status == 130


def test_one_that_cannot_be_opened_is_told_and_ends_it_with_1(
    world, command, trashed
):
    used, free = trashed
    (rbd_id,) = (
        entry['id']
        for entry in ceph.rbd.RBD().trash_list(world.pool.ioctx)
        if entry['name'].startswith(used)
    )
    world.damage(rbd_id)

    status, out, _ = command('reap')

    assert status == 1
    removed, damaged, summary = out.splitlines()
    assert removed == f'removed  {free}'
    assert damaged.startswith(f'damaged  {used}  ')
    assert f'(id {rbd_id}) cannot be opened' in damaged
    assert summary.endswith(', 0 still in use, 1 cannot be opened')
    status, out, _ = command('reap', '--format=json')
    assert status == 1
    (told,) = json.loads(out)['damaged']
    assert (told['image_id'], told['rbd_id']) == (used, rbd_id)
