# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore reconcile``"""

import json

import pytest

from tests.unit.tasks.conftest import ID


@pytest.fixture
def reconcile(on_node):
    """The command."""
    return lambda *args: on_node('reconcile', *args)


def test_a_dry_run_says_what_and_why_and_does_nothing(reconcile, work):
    status, out, err = reconcile('--dry-run')

    assert (status, err) == (0, '')
    assert out.splitlines() == [
        'ACTION     IMAGE                                 WHY',
        f'make copy  {ID}  a copy is wanted',
    ]
    work.assert_nothing_is_left()


def test_a_program_gets_the_plan_as_json(reconcile):
    _, out, _ = reconcile('--dry-run', '--format=json')

    assert json.loads(out) == [
        {
            'action': 'make copy',
            'image_id': ID,
            'reason': 'a copy is wanted',
        }
    ]


def test_what_is_done_is_told_and_then_there_is_nothing_to_do(reconcile):
    status, out, _ = reconcile()

    assert status == 0
    assert out == f'copy made         {ID}  it was wanted\n'
    assert reconcile() == (0, 'nothing to do\n', '')
    assert reconcile('--dry-run') == (0, 'nothing to do\n', '')
    assert reconcile('--format=json') == (0, '[]\n', '')


def test_what_cannot_be_done_ends_with_1(reconcile, work):
    work.catalog.add(ID, b'no qcow2'.ljust(5000))

    status, out, _ = reconcile('--format=json')

    assert status == 1
    (told,) = json.loads(out)
    assert told['action'] == 'no copy made'
    status, out, _ = reconcile()
    assert (status, out) == (0, 'nothing to do\n'), 'it was refused'


def test_show_tells_why_there_is_no_copy(reconcile, command, work):
    work.catalog.add(ID, b'no qcow2'.ljust(5000))
    reconcile()

    status, out, _ = command('show', ID)

    assert status == 3
    assert 'last attempt  refused' in out
    assert 'its data is not qcow2' in out
    _, out, _ = command('show', ID, '--format=json')
    (shown,) = json.loads(out)
    assert (shown['status'], shown['attempts']) == ('error', 1)
    assert shown['last_attempt'] == 'refused'


@pytest.mark.parametrize('args', [(), ('--dry-run',)])
def test_copies_of_images_that_glance_does_not_know_are_told(
    reconcile, work, world, args
):
    """As after its database was restored from a backup."""
    work.run()
    stranger, _ = world.copy()

    status, out, err = reconcile(*args)

    assert (status, out) == (0, 'nothing to do\n')
    assert "Glance's database knows no such image: raw copies of 1" in err
    assert stranger in err
    assert ID not in err
    assert len(world.names()) == 2


def test_what_cannot_be_opened_is_told_and_the_rest_is_done(reconcile, work):
    image_id, rbd_id = work.world.begin()
    work.world.damage(rbd_id)

    status, out, err = reconcile()

    assert status == 1
    assert out == f'copy made         {ID}  it was wanted\n'
    assert image_id in err
    assert f'(id {rbd_id}) cannot be opened' in err
