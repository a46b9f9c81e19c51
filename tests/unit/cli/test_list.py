# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore list``"""

import json

import pytest

from tests.contract.world import volumes


@pytest.fixture
def copies(world):
    """One copy of each status that can be listed: their images' ids."""
    with volumes(world, 2) as consumer:
        active, trashed = world.copy()[0], world.copy()[0]
        consumer.clone(trashed, 'child')
        world.pool.delete(trashed)
        pending, _ = world.begin()
        yield {
            'active': active,
            'pending': pending,
            'pending_delete': trashed,
        }


def test_every_copy_is_listed_with_sizes_and_clones(command, copies):
    status, out, err = command('list')

    assert (status, err) == (0, '')
    head, *lines = out.splitlines()
    assert head.split() == [
        *('IMAGE', 'STATUS', 'VIRTUAL', 'USED', 'CLONES', 'AGE')
    ]
    rows = {line.split()[0]: line.split()[1:] for line in lines}
    assert set(rows) == set(copies.values())
    assert rows[copies['active']][:6] == [
        *('active', '64.0', 'MiB', '20.5', 'KiB', '0')
    ]
    assert rows[copies['pending_delete']][5] == '1'


@pytest.mark.parametrize('wanted', ['active', 'pending', 'pending_delete'])
def test_one_status_can_be_chosen(command, copies, wanted):
    _, out, _ = command('list', '--status', wanted)

    (line,) = out.splitlines()[1:]
    assert line.split()[:2] == [copies[wanted], wanted]


def test_a_program_gets_every_copy(command, copies):
    _, out, _ = command('list', '--format=json')

    found = {each['image_id']: each for each in json.loads(out)}
    assert set(found) == set(copies.values())
    assert {each['status'] for each in found.values()} == set(copies)


@pytest.mark.parametrize('form', ['text', 'json'])
def test_an_empty_pool_is_no_failure(command, form):
    status, out, _ = command('list', '--format', form)

    assert status == 0
    assert out.strip() == '[]' if form == 'json' else 'IMAGE' in out


def test_clones_that_may_not_be_seen_are_not_counted_as_none(
    world, command, copies
):
    world.cluster.forbidden.add(('glance', 'volumes'))

    _, out, _ = command('list', '--status=pending_delete')

    assert out.splitlines()[1].split()[6] in ('some', '-')


def test_a_cluster_that_does_not_answer_ends_with_1_and_one_line(
    world, command
):
    world.cluster.away = True

    status, out, err = command('list')

    assert (status, out) == (1, '')
    assert err.startswith(
        'glance-rawstore: The storage cluster did not answer or refused. ('
    )
    assert err.count('\n') == 1
    assert 'error connecting' in err, "Ceph's own words"


def test_what_cannot_be_opened_is_listed_too(world, command):
    broken, rbd_id = world.copy()
    other, _ = world.copy()
    world.damage(rbd_id)

    status, out, _ = command('list')

    assert status == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines()}
    assert lines[broken][1:3] == ['active', '64.0']
    assert '?' in lines[broken]
    assert '?' not in lines[other]
    found = json.loads(command('list', '--format=json')[1])
    told = {copy['image_id']: copy['damaged'] for copy in found}
    assert told[other] is None
    assert 'error opening' in told[broken]
