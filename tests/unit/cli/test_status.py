# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore status``"""

import json

import pytest

from glance_rawstore import handover
from glance_rawstore import rights
from glance_rawstore.agent import plan
from tests.contract.world import DATA
from tests.contract.world import volumes

RIGHTS = {
    rights.READ: True,
    rights.WRITE: True,
    rights.LOCK: True,
    rights.FENCE: True,
    rights.originals('ceph'): True,
}


@pytest.fixture
def status(world, command, tmp_path):
    """The command, with originals that lie in the same cluster."""
    world.cluster.create_pool('images')
    path = tmp_path / 'glance-api.conf'
    path.write_text(
        path.read_text()
        + '[ceph]\nrbd_store_pool = images\n'
        + f'rbd_store_ceph_conf = {world.settings.conf_file}\n'
        + f'rbd_store_user = {world.settings.user}\n'
    )
    return lambda *args: command('status', *args)


@pytest.fixture
def taken_at_once(monkeypatch):
    """Whoever creates a ``.part`` takes its lease in no time, or never."""
    monkeypatch.setattr(plan, 'TAKING', 0.0)


@pytest.fixture
def agent(world):
    presence = handover.Presence(world.pool.ioctx)
    presence.show()
    return presence


@pytest.mark.usefixtures('agent')
def test_all_is_well(world, status):
    world.copy()

    assert status('--check') == (
        0,
        'RAWSTORE OK - 1 active, 0 pending, 0 waiting to be deleted | '
        f'active=1 pending=0 pending_delete=0 size={len(DATA)}B agents=1\n',
        '',
    )


def test_without_an_agent_it_is_critical(status):
    code, out, _ = status('--check')

    assert code == 2
    assert out.startswith('RAWSTORE CRITICAL - no agent is there | ')
    assert status('--check', '--min-agents=0')[0] == 0
    assert status()[0] == 0, 'nobody asked to judge'


@pytest.mark.usefixtures('agent', 'taken_at_once')
def test_a_copy_that_nobody_is_at_is_stuck_after_a_while(world, status):
    world.begin()
    assert status('--check')[0] == 0

    code, out, _ = status('--check', '--stuck-warning=0')

    assert code == 1
    assert '1 copy pending without a worker' in out


@pytest.mark.usefixtures('agent')
def test_a_trashed_copy_is_stuck_when_nothing_uses_it(world, status):
    image_id, _ = world.copy()
    with volumes(world, 2) as consumer:
        consumer.clone(image_id, 'child')
        world.pool.delete(image_id)
        assert status('--check', '--stuck-critical=0')[0] == 0

        consumer.remove('child')

        code, out, _ = status('--check', '--stuck-critical=0')
        assert code == 2
        assert '1 copy deleted, unused and not reaped' in out


@pytest.mark.usefixtures('agent')
def test_rights_that_are_missing_are_named(world, status):
    world.cluster.no_fence.add('glance')
    world.cluster.forbidden.add(('glance', 'images'))

    code, out, _ = status('--check')

    assert code == 2
    assert 'the cephx user cannot fence dead writers; ' in out
    assert 'cannot read the originals of store ceph' in out


def test_a_user_without_any_right_sees_nothing_else(world, status):
    world.cluster.forbidden.add(('glance', 'images_raw'))

    code, out, _ = status('--check')

    assert code == 2
    assert 'the cephx user cannot read the raw pool' in out
    assert '|' not in out
    code, out, _ = status('--format=json')
    assert json.loads(out)['seen'] is None
    assert 'user may' in status()[1]


def test_a_cluster_that_is_away_is_critical(world, status):
    world.cluster.away = True

    code, out, err = status('--check')

    assert (code, err) == (2, '')
    assert out.startswith('RAWSTORE CRITICAL - The storage cluster did not')
    code, _, err = status()
    assert (code, err[:16]) == (1, 'glance-rawstore:')


@pytest.mark.usefixtures('agent')
def test_originals_in_a_cluster_that_is_away_are_told(status, tmp_path):
    path = tmp_path / 'glance-api.conf'
    first, _, rest = path.read_text().partition('[ceph]')
    rest = rest.replace('rbd_store_ceph_conf = ', 'rbd_store_ceph_conf = /no')
    path.write_text(f'{first}[ceph]{rest}')

    code, out, _ = status('--check')

    assert code == 2
    assert 'cannot read the originals of store ceph |' in out


def test_a_wrong_configuration_cannot_be_judged(status, tmp_path):
    path = tmp_path / 'glance-api.conf'
    path.write_text('[DEFAULT]\nenabled_backends = ceph:rbd\n')

    code, out, _ = status('--check')

    assert code == 3
    assert out.startswith('RAWSTORE UNKNOWN - enabled_backends names no store')
    assert status()[0] == 4


@pytest.mark.usefixtures('agent')
def test_a_program_gets_all_of_it_with_units(world, status):
    world.copy()

    code, out, _ = status('--format=json')

    found = json.loads(out)
    seen = found.pop('seen')
    assert code == 0
    assert found == {
        'status': 'ok',
        'findings': [],
        'store': 'raw',
        'pool': 'images_raw',
        'rights': RIGHTS,
        'space': {'stored_bytes': 0, 'capacity_bytes': 1 << 40},
    }
    assert seen['active_bytes'] == len(DATA)
    assert seen['copies']['active'] == 1
    assert seen['oldest_pending_seconds'] is seen['budget'] is None


@pytest.mark.usefixtures('agent')
def test_a_budget_is_shown(world, status, tmp_path):
    path = tmp_path / 'glance-api.conf'
    path.write_text(
        path.read_text().replace('[raw]', '[raw]\nraw_cache_budget = 1GiB')
    )
    world.copy()

    shown = status()[1]

    assert '20.5 KiB used and 0 Bytes reserved of 1.0 GiB' in shown
    seen = json.loads(status('--format=json')[1])['seen']
    assert seen['budget']['limit_bytes'] == 1 << 30
    assert seen['budget']['used_bytes'] == len(DATA)


@pytest.mark.usefixtures('agent', 'taken_at_once')
def test_people_get_a_line_for_each_thing(world, status):
    world.copy()
    world.begin()

    code, out, _ = status()

    rows = dict(line.split('  ', 1) for line in out.splitlines())
    shown = {key.strip(): value.strip() for key, value in rows.items()}
    assert code == 0
    assert shown['user may'] == ', '.join(RIGHTS)
    assert shown['agents'] == '1'
    assert shown['active'] == '1, 20.5 KiB'
    assert shown['pending'] == (
        '0 being made, 1 without a worker, 0 handed over'
    )
    assert shown['budget'] == 'no limit'


@pytest.mark.usefixtures('agent')
def test_a_full_pool_is_critical(world, status):
    pool = world.cluster.pools['images_raw']
    pool.stored, pool.quota = 3 << 30, 3 << 30

    code, out, _ = status('--check')
    assert code == 2
    assert out.startswith('RAWSTORE CRITICAL - the raw pool is 100% full | ')
    _, out, _ = status()
    assert '3.0 GiB of 3.0 GiB taken' in out


def test_nothing_is_left_by_looking(world, status):
    before = set(world.cluster.pools['images_raw'].strays)

    status()

    assert world.cluster.pools['images_raw'].strays == before
    assert world.cluster.blocklist == set()


@pytest.mark.usefixtures('agent')
def test_what_cannot_be_opened_in_the_trash_is_a_warning(world, status):
    image_id, rbd_id = world.copy()
    with world.pool.image(f'{image_id}_raw'):  # so that it waits there
        world.pool.delete(image_id)
    world.damage(rbd_id)

    code, out, _ = status('--check')

    assert code == 1
    assert f'1 copy in the trash cannot be opened: {image_id}' in out
