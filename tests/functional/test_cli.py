# SPDX-License-Identifier: Apache-2.0
"""The command line against a real pool."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.cloud import Cloud
from tests.functional import agents
from tests.functional import holding
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.waiting import DEADLINE

PROGRAM = os.path.join(os.path.dirname(sys.executable), 'glance-rawstore')


def run(cloud: Cloud, *args: str) -> subprocess.CompletedProcess[str]:
    """Run glance-rawstore in a pipe with the cloud's configuration."""
    return subprocess.run(
        [PROGRAM, '--config-file', str(cloud.conf), *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def test_an_empty_pool_lists_headings_alone(cloud: Cloud) -> None:
    done = run(cloud, 'list')
    assert done.returncode == 0
    assert done.stdout.split() == [
        'IMAGE',
        'STATUS',
        'VIRTUAL',
        'USED',
        'CLONES',
        'AGE',
    ]
    assert done.stderr == ''


def test_list_shows_pending_and_active_copies(
    cloud: Cloud, small_image: Path, big_image: Path
) -> None:
    tenant = Tenant(cloud)
    active = tenant.make_copy(small_image)
    pending = tenant.start_import(big_image, raw_cache='true')
    with holding.held(cloud):
        found = json.loads(run(cloud, 'list', '--format', 'json').stdout)
        text = run(cloud, 'list', '--status', 'pending').stdout
    tenant.await_copy_task(pending)
    statuses = {copy['image_id']: copy['status'] for copy in found}
    assert statuses == {active: 'active', pending: 'pending'}
    assert pending in text
    assert active not in text


def test_show_tells_all_of_one_copy(cloud: Cloud, small_image: Path) -> None:
    image_id = Tenant(cloud).make_copy(small_image)
    (copy,) = json.loads(
        run(cloud, 'show', image_id, '--format', 'json').stdout
    )
    assert copy['status'] == 'active'
    assert copy['rbd_image'] == f'{image_id}_raw'
    assert copy['children'] == []
    assert copy['source_format'] == 'qcow2'
    assert copy['virtual_size_bytes'] == 64 << 20
    assert 0 < copy['bytes_used'] <= 64 << 20
    text = run(cloud, 'show', image_id).stdout
    assert 'virtual size  64.0 MiB' in text


def test_an_image_without_a_copy_ends_with_status_3(cloud: Cloud) -> None:
    done = run(cloud, 'show', '00000000-0000-0000-0000-000000000000')
    assert done.returncode == 3
    assert 'has no raw copy' in done.stderr
    assert 'Traceback' not in done.stderr


def test_clones_that_may_not_be_seen_show_as_some(
    cloud: Cloud, small_image: Path, volumes: str
) -> None:
    image_id = Tenant(cloud).make_copy(small_image)
    cloud.cluster.rbd(
        'clone', f'{cloud.raw_pool}/{image_id}_raw@snap', f'{volumes}/child'
    )
    line = run(cloud, 'list').stdout.splitlines()[1]
    assert '  some  ' in line
    (copy,) = json.loads(run(cloud, 'list', '--format', 'json').stdout)
    assert copy['children'] is None


def test_a_deleted_copy_in_use_is_listed_and_reaped_after_its_clone(
    cloud: Cloud, small_image: Path, volumes: str
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    cloud.cluster.rbd(
        'clone', f'{cloud.raw_pool}/{image_id}_raw@snap', f'{volumes}/child'
    )
    tenant.images.delete(image_id)
    assert 'pending_delete' in run(cloud, 'list').stdout
    assert f'in use   {image_id}' in run(cloud, 'reap').stdout
    cloud.cluster.rbd('rm', '--no-progress', f'{volumes}/child')
    done = run(cloud, 'reap')
    assert f'removed  {image_id}' in done.stdout
    assert done.stdout.splitlines()[-1].startswith('1 removed, ')
    assert run(cloud, 'list').stdout.count('\n') == 1


def test_reap_watch_reaps_what_comes_and_ends_when_interrupted(
    cloud: Cloud, small_image: Path, volumes: str
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    child = f'{volumes}/child'
    cloud.cluster.rbd('clone', f'{cloud.raw_pool}/{image_id}_raw@snap', child)
    tenant.images.delete(image_id)
    watching = subprocess.Popen(
        [PROGRAM, '--config-file', cloud.conf, 'reap', '--watch', '0.2'],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert watching.stdout is not None
        assert image_id in watching.stdout.readline()
        cloud.cluster.rbd('rm', '--no-progress', child)
        await_true(
            lambda: run(cloud, 'list').stdout.count('\n') == 1,
            'the copy was reaped',
        )
    finally:
        watching.terminate()
        watching.wait(DEADLINE)


@pytest.mark.parametrize(
    ('config', 'words'),
    [
        ('[DEFAULT]\nenabled_backends = a:file\n', 'no store with the driver'),
        ('', 'no store with the driver'),
    ],
)
def test_a_configuration_without_a_raw_store_says_what_is_missing(
    tmp_path: Path, cloud: Cloud, config: str, words: str
) -> None:
    del cloud
    path = tmp_path / 'glance-api.conf'
    path.write_text(config)
    done = subprocess.run(
        [PROGRAM, '--config-file', str(path), 'list'],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert words in done.stderr


@pytest.mark.parametrize(
    ('option', 'value', 'words'),
    [
        ('rbd_store_pool', 'images_rwa', 'no pool images_rwa'),
        ('rbd_store_user', 'nobody', 'no key of client.nobody'),
        ('rbd_store_ceph_conf', '/none.conf', 'no /none.conf'),
    ],
)
def test_what_keeps_from_reaching_ceph_is_named(
    tmp_path: Path, cloud: Cloud, option: str, value: str, words: str
) -> None:
    others = {'raw': {option: value}}
    with agents.configured(cloud, tmp_path, 'wrong', others) as conf:
        done = agents.run_with(conf, 'list')
        judged = agents.run_with(conf, 'status', '--check')

    assert (done.returncode, done.stdout) == (1, '')
    assert f'there is {words}' in done.stderr
    assert f'see {option}' in done.stderr
    assert judged.returncode == 2
    assert judged.stdout.startswith('RAWSTORE CRITICAL - The storage cluster')
    assert f'there is {words}' in judged.stdout


def _asks_the_osd(pid: int, cloud: Cloud) -> bool:
    """Whether a process has a connection to the OSD, though it be paused."""
    osd = psutil.Process(cloud.cluster.osd_pid).net_connections('tcp')
    ports = {c.laddr.port for c in osd if c.status == psutil.CONN_LISTEN}
    theirs = psutil.Process(pid).net_connections('tcp')
    return any(c.raddr and c.raddr.port in ports for c in theirs)


def test_ctrl_c_ends_a_command_that_waits_for_ceph(cloud: Cloud) -> None:
    """It took SIGKILL, since librados returns to nobody."""
    cloud.cluster.pause_osd()
    try:
        waiting = subprocess.Popen(
            [PROGRAM, '--config-file', cloud.conf, 'list'],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        await_true(lambda: _asks_the_osd(waiting.pid, cloud), 'it waits')
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=DEADLINE)
    finally:
        cloud.cluster.resume_osd()

    assert waiting.returncode == 130
    assert 'waiting for an answer of Ceph' in told
