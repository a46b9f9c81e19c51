# SPDX-License-Identifier: Apache-2.0
"""The cluster and the cloud that the other tests stand on do work."""

import random
from pathlib import Path

import pytest
import rados

from tests import images
from tests import processes
from tests.cloud import Cloud
from tests.cloud import imaging
from tests.cloud.web import WebServer
from tests.cluster import Cluster

SMALL = images.Contents(data=0)


def test_a_port_is_given_to_one_who_may_listen_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Though nobody does yet."""
    port = processes.free_port()
    drawn = iter([port, *(random.randrange(20000, 32000) for _ in range(99))])
    monkeypatch.setattr(random, 'randrange', lambda *_: next(drawn))

    assert processes.free_port() != port
    assert processes.is_free(port)


def test_a_user_of_one_pool_is_refused_in_another(cluster: Cluster) -> None:
    cluster.create_pool('mine')
    cluster.create_pool('theirs')
    cluster.user('me', {'mon': 'profile rbd', 'osd': 'profile rbd pool=mine'})
    connection = cluster.connect('me')
    try:
        with connection.open_ioctx('mine') as mine:
            mine.write_full('object', b'data')
        with (
            connection.open_ioctx('theirs') as theirs,
            pytest.raises(rados.PermissionError),
        ):
            theirs.write_full('object', b'data')
    finally:
        connection.shutdown()
        cluster.delete_pool('mine')
        cluster.delete_pool('theirs')


@pytest.mark.parametrize('clone_format', ['1', '2'])
def test_an_emptied_pool_is_empty_whatever_was_in_it(
    cluster: Cluster, clone_format: str
) -> None:
    cluster.create_pool('full')
    try:
        cluster.rbd('create', '--size', '1T', 'full/parent')
        cluster.rbd('snap', 'create', 'full/parent@snap')
        cluster.rbd('snap', 'protect', 'full/parent@snap')
        option = f'--rbd-default-clone-format={clone_format}'
        cluster.rbd(option, 'clone', 'full/parent@snap', 'full/child')
        cluster.rbd('snap', 'create', 'full/child@own')
        cluster.rbd('trash', 'mv', 'full/parent')
        cluster.rbd('namespace', 'create', 'full/tenant')
        cluster.rbd('create', '--size', '1G', 'full/tenant/image')
        cluster.empty_pool('full')
        connection = cluster.connect()
        with connection.open_ioctx('full') as ioctx:
            ioctx.set_namespace(rados.LIBRADOS_ALL_NSPACES)
            names = [found.key for found in ioctx.list_objects()]
        connection.shutdown()
        assert names == ['rbd_info']
        cluster.rbd('create', '--size', '1G', 'full/parent')
    finally:
        cluster.delete_pool('full')


def test_the_command_imports_for_alice_what_bob_does_not_see(
    cloud: Cloud, tmp_path: Path
) -> None:
    path = images.qcow2(tmp_path, contents=SMALL)
    cloud.glance(
        'alice',
        'image-create-via-import',
        '--import-method=glance-direct',
        f'--file={path}',
        '--disk-format=qcow2',
        '--container-format=bare',
        '--name=hers',
    )
    alice = cloud.client('alice')
    [image] = alice.images.list()
    imaging.wait_until_active(alice, image.id)
    copy = imaging.download(alice, image.id, tmp_path / 'copy')
    assert copy.read_bytes() == path.read_bytes()
    assert list(cloud.client('bob').images.list()) == []


def test_an_image_is_downloaded_from_the_web(
    cloud: Cloud, tmp_path: Path
) -> None:
    path = images.qcow2(tmp_path, contents=SMALL)
    alice = cloud.client('alice')
    with WebServer(tmp_path) as web:
        image_id = imaging.import_from(alice, web.url(path.name))
        image = imaging.wait_until_active(alice, image_id)
    assert image.size == path.stat().st_size
