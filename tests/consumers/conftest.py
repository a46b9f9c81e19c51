# SPDX-License-Identifier: Apache-2.0
"""One Ceph, Keystone and Glance, one Cinder and some Novas for the run."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.cloud.config import RAW_VIEW
from tests.cluster import Cluster
from tests.consumers import configuration
from tests.consumers import guest
from tests.consumers.disks import Disk
from tests.consumers.disks import clear
from tests.consumers.process import CINDER
from tests.consumers.process import NOVA
from tests.consumers.process import Consumer
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import tidy

POOLS = ('volumes', 'vms')

_OWN = 'profile rbd pool=volumes, profile rbd pool=vms'
_MGR = {'mon': 'profile rbd', 'mgr': _OWN}

#: As Ceph's documentation advises ("Block Devices and OpenStack"), with the
#: raw pool beside that of images. Nova uses Cinder's user there.
READ_ONLY = {
    **_MGR,
    'osd': f'{_OWN}, profile rbd-read-only pool=images, '
    'profile rbd-read-only pool=images_raw',
}
#: So that Nova need not upload its snapshots.
READ_WRITE = {
    **_MGR,
    'osd': f'{_OWN}, profile rbd pool=images, profile rbd pool=images_raw',
}


@pytest.fixture(scope='session')
def cluster() -> Iterator[Cluster]:
    """A running Ceph."""
    with Cluster() as running:
        for pool in POOLS:
            running.create_pool(pool)
        running.user('cinder', READ_ONLY)
        running.user('nova', READ_WRITE)
        yield running


@pytest.fixture(scope='session')
def running_cloud(cluster: Cluster) -> Iterator[Cloud]:
    """A running Glance with our store, plugin and filter."""
    with Cloud(cluster, filters=RAW_VIEW) as running:
        # Glance hides tenants' images from a service that is not admin, and
        # then Cinder does not find them (Cinder 29, Glance 33).
        running.keystone.grant('cinder', 'admin')
        yield running


@pytest.fixture
def cloud(running_cloud: Cloud, _shared: set[str]) -> Iterator[Cloud]:
    """The cloud, with the images that tests share and nothing else."""
    yield running_cloud
    for name in POOLS:
        clear(running_cloud.cluster, name)
    tidy(running_cloud, _shared)
    Pool(running_cloud).reap()
    running_cloud.cluster.rbd('trash', 'purge', running_cloud.raw_pool)


@pytest.fixture(scope='session')
def cinder(
    running_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consumer]:
    """Cinder, with a [glance] section."""
    directory = tmp_path_factory.mktemp('cinder')
    conf = configuration.cinder(running_cloud, directory)
    with Consumer(CINDER, conf, running_cloud.port) as running:
        yield running


@pytest.fixture(scope='session')
def nova(
    running_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consumer]:
    """Nova, which may only read the raw pool."""
    directory = tmp_path_factory.mktemp('nova')
    conf = configuration.nova(running_cloud, directory, 'cinder')
    with Consumer(NOVA, conf, running_cloud.port) as running:
        yield running


@pytest.fixture(scope='session')
def writing_nova(
    running_cloud: Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Consumer]:
    """Nova, which may write to the raw pool."""
    directory = tmp_path_factory.mktemp('writing-nova')
    conf = configuration.nova(running_cloud, directory, 'nova')
    with Consumer(NOVA, conf, running_cloud.port) as running:
        yield running


@pytest.fixture(scope='session')
def guest_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 that boots; the same as raw lies beside it."""
    return guest.build(tmp_path_factory.mktemp('guest'))


@pytest.fixture(scope='session')
def _shared() -> set[str]:
    """Ids of images that tests share."""
    return set()


@pytest.fixture(scope='session')
def copied(running_cloud: Cloud, guest_image: Path, _shared: set[str]) -> str:
    """Alice's image of the guest, with an active raw copy; not to delete."""
    image_id = Tenant(running_cloud).make_copy(guest_image)
    _shared.add(image_id)
    return image_id


@pytest.fixture(scope='session')
def uncopied(
    running_cloud: Cloud, guest_image: Path, _shared: set[str]
) -> str:
    """Alice's image of the guest, without a raw copy; not to delete."""
    image_id = Tenant(running_cloud).import_file(guest_image)
    _shared.add(image_id)
    return image_id


@pytest.fixture
def alice(cloud: Cloud) -> Tenant:
    """A tenant."""
    return Tenant(cloud, 'alice')


@pytest.fixture
def user(cloud: Cloud) -> dict[str, str]:
    """What a service is told of Alice with her request."""
    session = cloud.keystone.session('alice')
    return {
        'token': session.get_token(),
        'user_id': session.get_user_id(),
        'project_id': session.get_project_id(),
    }


@pytest.fixture
def server_id() -> str:
    """Of a server to be made."""
    return str(uuid.uuid4())


@pytest.fixture
def pool(cloud: Cloud) -> Pool:
    """The raw pool of the cloud."""
    return Pool(cloud)


@pytest.fixture
def disk(cluster: Cluster) -> Callable[[str], Disk]:
    """Gives the disk at pool/name, as Cinder and Nova see it."""
    return lambda path: Disk(cluster, path, 'cinder')
