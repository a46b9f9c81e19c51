# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore convert``"""

import dataclasses
import json
import time
import uuid

import pytest
from oslo_db.exception import DBConnectionError

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore.agent.converting import Conversions
from glance_rawstore.agent.node import Node
from glance_rawstore.cli import convert
from glance_rawstore.cli import following
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.states import Status
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL

OTHER = str(uuid.uuid4())


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(following, 'INTERVAL', 0.01)
    monkeypatch.setattr(convert, 'PATIENCE', 0.3)


@pytest.fixture
def ioctx(world):
    return world.pool.ioctx


@pytest.fixture
def agent(ioctx):
    """An agent is there; it does nothing before it is told to."""
    presence = handover.Presence(ioctx)
    presence.show()
    yield
    presence.leave()


@pytest.fixture
def works(agent, node, ioctx, monkeypatch):
    """While others sleep, it makes what was handed over."""

    def sleep(seconds):
        conversions = Conversions(node)
        conversions.offer(handover.all_offered(ioctx))
        conversions.join()
        conversions.stop()

    monkeypatch.setattr(following.time, 'sleep', sleep)


def meta(world):
    with world.pool.image(raw_copy.name(ID)) as image:
        return dict(image.metadata_list())


def test_without_an_agent_it_is_made_here(on_node, work):
    status, out, err = on_node('convert', ID)

    assert (status, err) == (0, 'no agent is there: converting here\n')
    assert out.splitlines()[-1].startswith(
        f'active            {ID}  The raw copy is ready: '
    )
    assert work.location()['status'] == 'active'
    (task,) = work.catalog.tasks.values()
    assert task.requester.request_id.startswith('req-')


def test_one_that_nobody_wished_for_stays(on_node, world, work, node, ioctx):
    work.catalog.change(ID, properties={})

    status, _, _ = on_node('convert', ID)

    assert status == 0
    assert raw_copy.META_BY_WISH not in meta(world)
    assert orders.read_all(ioctx) == {}
    assert on_node('reconcile', '--dry-run')[1] == 'nothing to do\n'


def test_an_agent_is_told_and_the_command_returns(on_node, work, agent, ioctx):
    work.catalog.change(ID, properties={})

    status, out, err = on_node('convert', ID)

    assert (status, err) == (0, '')
    (task_id,) = work.catalog.tasks
    task = work.catalog.tasks[task_id]
    assert out == (
        f'ordered           {ID}  an agent makes it: task {task_id}\n'
    )
    assert handover.offered(ioctx, ID) == task_id
    assert task.status == 'pending'
    assert task.requester.request_id == orders.read(ioctx, ID).request_id


def test_waiting_follows_the_agent_to_its_end(on_node, work, works, ioctx):
    work.catalog.change(ID, properties={})

    status, out, err = on_node('convert', '--wait', ID)

    assert (status, err) == (0, '')
    first, last = out.splitlines()
    assert first.split()[:2] == ['-', ID]
    assert last.startswith(f'active            {ID}  The raw copy is ready')
    (task,) = work.catalog.tasks.values()
    assert task.status == 'success', 'it went on with the task of the order'
    assert handover.all_offered(ioctx) == orders.read_all(ioctx) == {}


def test_a_cluster_that_is_away_for_a_while_does_not_end_the_waiting(
    on_node, world, works, monkeypatch
):
    work_on = following.time.sleep
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        world.cluster.away = len(naps) < 3
        if not world.cluster.away:
            work_on(seconds)

    monkeypatch.setattr(following.time, 'sleep', sleep)
    monkeypatch.setattr(convert, '_ATTENDANCE', 0.0)

    status, out, err = on_node('convert', '--wait', ID)

    assert status == 0
    assert err.count('did not answer') == 2
    assert 'The raw copy is ready' in out


def test_one_whose_client_is_blocklisted_ends(
    on_node, world, works, monkeypatch
):
    """It would see nothing any more, for ever; the agents go on."""
    naps = []

    def sleep(seconds):
        naps.append(seconds)
        world.cluster.blocklist.update(followed)

    followed = []
    look = following.look

    def noted(catalog, pool, image_id):
        followed.append(pool.client.address)
        return look(catalog, pool, image_id)

    monkeypatch.setattr(following, 'look', noted)
    monkeypatch.setattr(following.time, 'sleep', sleep)

    status, _, err = on_node('convert', '--wait', ID)

    assert status == 1
    assert len(naps) == 1
    assert 'ceph osd blocklist ls' in err


def test_agents_that_leave_are_missed_once(on_node, world, agent, monkeypatch):
    def sleep(seconds):
        world.pass_time(handover.DURATION + 1)

    monkeypatch.setattr(following.time, 'sleep', sleep)
    monkeypatch.setattr(convert, '_ATTENDANCE', 0.0)

    status, _, err = on_node('convert', '--timeout=0.1', ID)

    assert status == 1
    assert err == 'no agent is there any more: waiting\n'


def test_what_cannot_be_converted_ends_with_1_and_why(on_node, work, works):
    work.catalog.add(ID, b'no qcow2'.ljust(5000), updated_at=1.0)

    status, out, _ = on_node('convert', '--wait', '--format=json', ID)

    assert status == 1
    (told,) = json.loads(out)
    assert told['outcome'] == 'failed'
    assert 'its data is not qcow2' in told['reason']


def test_the_same_here(on_node, work):
    work.catalog.add(ID, b'no qcow2'.ljust(5000), updated_at=1.0)

    status, out, _ = on_node('convert', '--here', ID)

    assert status == 1
    assert 'its data is not qcow2' in out.splitlines()[-1]


def test_what_nobody_makes_is_given_up_in_the_end(on_node, work):
    """An import that holds the image does not end; a copy was made before."""
    work.run()
    on_node('evict', '--yes', ID)
    work.catalog.change(
        ID, properties={'raw_cache': 'true', 'os_glance_import_task': 'x'}
    )

    status, out, _ = on_node('convert', '--here', ID)

    assert status == 1
    assert out.splitlines() == [
        f'               -  {ID}  Waiting.',
        f'failed            {ID}  Nobody makes it.',
    ]


def test_waiting_may_be_limited(on_node, work, agent):
    status, out, _ = on_node('convert', '--timeout=0.05', ID)

    assert status == 1
    assert out.splitlines()[-1] == f'pending           {ID}  not yet made'
    (task,) = work.catalog.tasks.values()
    assert task.status == 'pending', 'an agent goes on'


def test_interrupted_the_agents_go_on(on_node, work, agent, monkeypatch):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(following.time, 'sleep', interrupted)

    status, _, err = on_node('convert', '--wait', ID)

    assert (status, err) == (130, 'interrupted: the agents go on\n')
    assert work.catalog.open_tasks() != []


def test_a_database_that_is_away_is_told_in_a_line(on_node, work):
    def away():
        raise DBConnectionError(OSError('Connection refused'))

    work.catalog.looked = away

    status, out, err = on_node('convert', '--all', '--property=a=b')

    assert (status, out) == (1, '')
    assert err.splitlines()[-1].startswith("glance-rawstore: Glance's data")


def test_interrupted_here_without_an_agent_nothing_is_left(
    on_node, work, world, ioctx, monkeypatch
):
    def interrupted(seconds):
        raise KeyboardInterrupt

    work.catalog.change(ID, properties={}, updated_at=time.time())
    monkeypatch.setattr(following.time, 'sleep', interrupted)

    status, _, _ = on_node('convert', ID)

    assert status == 130
    assert orders.read_all(ioctx) == {}
    work.assert_nothing_is_left()


def test_failures_and_an_eviction_count_no_more(on_node, ioctx, node, work):
    version = node.policy.version(work.catalog.images[ID])
    tried = Attempts(9, True, 'It was refused.', time.time(), version)
    attempts.write(ioctx, ID, tried)
    evicted.note(ioctx, ID, Evicted(time.time(), 'lru', 5, 'x'))
    assert on_node('reconcile', '--dry-run')[1] == 'nothing to do\n'

    status, _, _ = on_node('convert', ID)

    assert status == 0
    assert attempts.read_all(ioctx) == evicted.read_all(ioctx) == {}


def test_who_makes_it_already_is_left_to_it(on_node, work, agent, ioctx):
    job = work.job()
    work.catalog.create_task(
        work.catalog.images[ID], 'raw', job.requester, 'At it.'
    )

    status, out, _ = on_node('convert', ID)

    assert status == 0
    (task_id,) = work.catalog.tasks
    assert task_id in out
    assert handover.all_offered(ioctx) == {}


def test_a_copy_that_is_there_is_left(on_node, work, world):
    work.run()
    before = world.pool.rbd_id(raw_copy.name(ID))

    status, out, _ = on_node('convert', '--here', ID)

    assert (status, out) == (
        0,
        f'nothing to do     {ID}  The image has a raw copy already.\n',
    )
    assert world.pool.rbd_id(raw_copy.name(ID)) == before


@pytest.mark.parametrize(
    ('facts', 'words'),
    [
        ({'properties': {'raw_cache': 'false'}}, 'wants no copy'),
        ({'properties': {'raw_cache': 'x'}}, 'must be true or false'),
        ({'disk_format': 'ploop'}, 'ploop'),
        ({'container_format': 'ova'}, 'ova'),
        ({'status': 'queued'}, 'is queued'),
        ({'locations': ()}, 'has no data'),
    ],
)
@pytest.mark.parametrize('option', ['--dry-run', '--here', '--wait'])
def test_what_cannot_have_one_is_refused_with_the_reason(
    on_node, work, ioctx, agent, option, facts, words
):
    work.catalog.change(ID, **facts)

    status, out, _ = on_node('convert', option, ID)

    assert status == 1
    assert out.startswith(f'failed            {ID}  ')
    assert words in out
    assert orders.read_all(ioctx) == handover.all_offered(ioctx) == {}
    work.assert_nothing_is_left()


def test_a_raw_image_needs_none(on_node, work):
    work.catalog.change(ID, disk_format='raw')

    status, out, _ = on_node('convert', '--here', ID)

    assert status == 0
    assert 'A raw image needs no raw copy.' in out


def test_a_dry_run_orders_nothing(on_node, work, agent, ioctx):
    work.catalog.change(ID, properties={})

    status, out, _ = on_node('convert', '--dry-run', ID)

    assert (status, out) == (0, f'to be made        {ID}\n')
    assert orders.read_all(ioctx) == {}
    assert work.catalog.tasks == {}


def test_all_are_those_that_can_be_made_and_are_not_there(
    on_node, work, world
):
    def add(**facts):
        image_id = str(uuid.uuid4())
        work.catalog.add(image_id, ORIGINAL, **facts)
        return image_id

    work.catalog.change(ID, properties={'os_distro': 'debian'})
    other = add(properties={})
    add(properties={'raw_cache': 'false'})
    add(disk_format='raw')
    add(status='queued')
    world.copy(add())

    _, out, _ = on_node('convert', '--all', '--dry-run')
    assert {line.split()[-1] for line in out.splitlines()[:-1]} == {ID, other}

    _, out, _ = on_node(
        'convert', '--all', '--property=os_distro=debian', '--dry-run'
    )
    assert out == f'to be made        {ID}\n'


def test_an_image_that_is_gone_does_not_keep_the_others(on_node, world):
    status, out, _ = on_node('convert', '--here', OTHER, ID)

    assert status == 3
    assert out.splitlines()[-1] == '1 not found, 1 active'
    assert world.pool.status(ID) is Status.ACTIVE


def test_a_second_raw_store_gets_no_copies(on_node, node, monkeypatch):
    policy = dataclasses.replace(node.policy, makes=False)
    other = dataclasses.replace(node, policy=policy)
    monkeypatch.setattr(Node, 'start', lambda files, store: other)

    status, _, err = on_node('convert', ID)

    assert status == 4
    assert 'first raw store' in err
