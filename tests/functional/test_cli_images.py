# SPDX-License-Identifier: Apache-2.0
"""Commands about single images, against a real Glance and Ceph."""

import json
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from glance_rawstore import handover
from glance_rawstore import raw_pool
from tests.cloud import Cloud
from tests.functional.agents import Agent
from tests.functional.agents import configured
from tests.functional.agents import run
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import original_facts


@pytest.fixture(scope='module')
def agent(
    running_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Agent]:
    """An agent that looks at its own accord once in a day."""
    directory = tmp_path_factory.mktemp('agent')
    options = {'reconcile_interval': 86400}
    with (
        configured(running_cloud, directory, 'node', **options) as conf,
        Agent(running_cloud, directory, conf) as running,
    ):
        await_true(lambda: attended(running_cloud), 'the agent is there')
        yield running


def attended(cloud: Cloud) -> bool:
    with raw_pool.RawPool.open(Pool(cloud).settings) as pool:
        return handover.attended(pool.ioctx)


def outcomes(cloud: Cloud, *args: str) -> dict[str, str]:
    """What a command says became of each image."""
    done = run(cloud, *args, '--format', 'json')
    return {
        each['image_id']: each['outcome'] for each in json.loads(done.stdout)
    }


def test_protection_is_a_property_that_owners_see_and_nothing_else(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image, os_distro='debian')
    before = tenant.images.get(image_id)
    gone = str(uuid.uuid4())

    done = run(cloud, 'protect', image_id, gone)

    assert done.returncode == 3, done.stderr
    assert done.stdout.splitlines()[-1] == '1 protected, 1 not found'
    image = dict(tenant.images.get(image_id))
    assert image.pop('raw_cache_protected') == 'true'
    kept = {**before, 'updated_at': image['updated_at']}
    assert image == kept
    assert outcomes(cloud, 'unprotect', image_id) == {image_id: 'unprotected'}
    assert 'raw_cache_protected' not in tenant.images.get(image_id)
    # A row that was deleted is there again.
    assert run(cloud, 'protect', image_id).returncode == 0
    assert tenant.images.get(image_id)['raw_cache_protected'] == 'true'


def test_log_lines_of_a_conversion_carry_the_id_of_the_import(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    task = tenant.await_copy_task(image_id)

    # Once it has given back what it held; the task says so before.
    (line,) = await_true(
        lambda: [
            line
            for line in cloud.log().splitlines()
            if f'Raw copy of image {image_id} is active' in line
        ],
        'it is logged',
    )

    assert task['request_id'].startswith('req-')
    assert task['request_id'] in line
    events = json.loads(run(cloud, 'events', '--format', 'json').stdout)
    mine = [each for each in events if each['image_id'] == image_id]
    assert [each['event'] for each in mine] == ['success']
    assert mine[0]['request_id'] == task['request_id']
    assert mine[0]['message'].startswith('The raw copy is ready')


def test_a_copy_is_made_here_evicted_brought_back_and_deleted(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    """One that nobody wished for, and with no agent."""
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image)
    before = original_facts(tenant.images.get(image_id))

    done = run(cloud, 'convert', image_id)
    assert done.returncode == 0, done.stdout
    assert 'no agent is there' in done.stderr
    assert 'The raw copy is ready' in done.stdout.splitlines()[-1]
    assert tenant.locations(image_id)['raw']['metadata']['status'] == 'active'
    assert original_facts(tenant.images.get(image_id)) == before

    assert outcomes(cloud, 'evict', '--yes', image_id) == {image_id: 'evicted'}
    assert pool.names() == []
    assert 'raw' not in tenant.locations(image_id)

    assert outcomes(cloud, 'convert', image_id) == {image_id: 'active'}
    assert outcomes(cloud, 'delete', '--yes', image_id) == {
        image_id: 'deleted'
    }
    assert pool.names() == []
    # Snapshots that were removed are trimmed by the OSD in its own time.
    await_true(lambda: pool.objects('rbd_') == [], 'no object is left')


def test_a_store_is_given_up_when_its_last_clone_is_gone(
    cloud: Cloud, pool: Pool, small_image: Path, volumes: str
) -> None:
    cloud.restart()  # else its workers may still write what was used before
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    before = original_facts(tenant.images.get(image_id))
    child = f'{volumes}/child'
    cloud.cluster.rbd('clone', f'{cloud.raw_pool}/{image_id}_raw@snap', child)

    done = run(cloud, 'purge', '--store', 'raw', '--yes')
    assert done.returncode == 1, done.stderr
    assert f'stays             {image_id}  in the trash' in done.stdout
    assert 'raw' not in tenant.locations(image_id)
    cloud.cluster.rbd('rm', '--no-progress', child)

    done = run(cloud, 'purge', '--store', 'raw', '--yes')
    assert done.returncode == 0, done.stdout
    assert 'Nothing is left of it.' in done.stdout
    with raw_pool.RawPool.open(pool.settings) as opened:
        left = {str(item.key) for item in opened.ioctx.list_objects()}
    assert not [name for name in left if 'glance_rawstore' in name]
    assert pool.names() == []
    assert original_facts(tenant.images.get(image_id)) == before


@pytest.mark.usefixtures('agent')
def test_agents_make_what_a_file_names(
    cloud: Cloud, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    tenant = Tenant(cloud)
    ids = [tenant.import_file(small_image) for _ in range(2)]
    path = tmp_path / 'ids'
    path.write_text('\n'.join(['# ours', *ids]))

    done = run(cloud, 'convert', '--wait', '--from-file', str(path))

    assert done.returncode == 0, done.stdout
    assert done.stderr == ''
    assert done.stdout.splitlines()[-1] == '2 active'
    tasks = [tenant.await_copy_task(image_id) for image_id in ids]
    assert len({task['request_id'] for task in tasks}) == 1
    for image_id in ids:
        names = [task['input']['backend'] for task in tenant.tasks(image_id)]
        assert names.count(['raw']) == 1, 'one task, and the agent went on'
        assert f'{image_id}_raw' in pool.names()


@pytest.mark.usefixtures('agent')
def test_what_is_refused_ends_with_1_and_the_reason(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    unwanted = tenant.import_file(small_image, raw_cache='false')
    raw = tenant.import_file(small_image, 'qcow2', container_format='ova')

    done = run(cloud, 'convert', '--wait', unwanted, raw)

    assert done.returncode == 1
    assert 'wants no copy' in done.stdout
    assert 'ova' in done.stdout
    assert run(cloud, 'list').stdout.count('\n') == 1


def test_a_copy_in_use_is_not_evicted(
    cloud: Cloud, small_image: Path, volumes: str
) -> None:
    image_id = Tenant(cloud).make_copy(small_image)
    cloud.cluster.rbd(
        'clone', f'{cloud.raw_pool}/{image_id}_raw@snap', f'{volumes}/child'
    )

    done = run(cloud, 'evict', '--yes', image_id)

    assert done.returncode == 1
    assert 'evicting it would free nothing' in done.stdout
    assert f'{image_id}_raw' in Pool(cloud).names()


def tamper(pool: Pool, image_id: str, offset: int) -> None:
    """Change a byte of a copy, as nobody should."""
    with (
        raw_pool.RawPool.open(pool.settings) as opened,
        opened.image(f'{image_id}_raw') as image,
    ):
        image.unprotect_snap('snap')
        image.remove_snap('snap')
        (before,) = image.read(offset, 1)
        image.write(bytes([before ^ 1]), offset)
        image.create_snap('snap')
        image.protect_snap('snap')


def test_copies_are_compared_with_originals_in_any_store(
    cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    in_ceph = tenant.make_copy(small_image)
    in_file = tenant.make_copy(small_image, stores=['fast'])
    tampered = tenant.make_copy(small_image)
    tamper(pool, tampered, 5 << 20)

    done = run(cloud, 'verify', '--all', '--format=json')

    assert done.returncode == 5, done.stderr
    found = {each['image_id']: each for each in json.loads(done.stdout)}
    assert found[in_ceph]['outcome'] == found[in_file]['outcome']
    assert found[in_ceph]['outcome'] == 'identical'
    assert found[tampered]['outcome'] == 'different'
    first = found[tampered]['first_difference_at_byte']
    assert first <= 5 << 20 < first + 512
