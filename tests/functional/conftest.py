# SPDX-License-Identifier: Apache-2.0
"""One cluster and one cloud for the whole run; empty again for each test."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import images
from tests.cloud import Cloud
from tests.cloud import config
from tests.cloud.config import RAW_VIEW
from tests.cluster import Cluster
from tests.functional.support import Pool
from tests.functional.support import tidy

MIB = 1 << 20
GIB = 1 << 30

#: What a consumer of raw copies gets, as documented in the README.
CONSUMER_CAPS = {
    'mon': 'profile rbd',
    'osd': 'profile rbd pool=volumes, profile rbd-read-only pool=images_raw',
}


@pytest.fixture(scope='session')
def cluster() -> Iterator[Cluster]:
    """A running Ceph."""
    with Cluster() as running:
        running.create_pool('volumes')
        running.user('cinder', CONSUMER_CAPS)
        yield running


@pytest.fixture(scope='session')
def running_cloud(cluster: Cluster) -> Iterator[Cloud]:
    """A running Glance with our store and plugin."""
    overrides = {
        'oslo_messaging_notifications': {'driver': 'log'},
        # The other clouds read the original back, see region().
        'glance_rawstore': {'convert_staged': 'always'},
    }
    with Cloud(
        cluster, overrides, stores={'fast': 'file'}, filters=RAW_VIEW
    ) as running:
        yield running


@pytest.fixture
def cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """The cloud, without images and with empty pools."""
    yield running_cloud
    running_cloud.cluster.empty_pool('volumes')
    tidy(running_cloud)


@pytest.fixture
def pool(cloud: Cloud) -> Pool:
    """The raw pool of the cloud."""
    return Pool(cloud)


@pytest.fixture
def volumes(cluster: Cluster) -> str:
    """A pool for clones."""
    del cluster
    return 'volumes'


@pytest.fixture(scope='session')
def image_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where images lie that several tests use."""
    return tmp_path_factory.mktemp('images')


@pytest.fixture(scope='session')
def small_image(image_dir: Path) -> Path:
    """A qcow2 of 64 MiB with 6 MiB of data."""
    return images.qcow2(image_dir)


@pytest.fixture(scope='session')
def big_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A qcow2 with data enough to catch its conversion."""
    contents = images.Contents(size=1 * GIB, data=192 * MIB)
    return images.qcow2(tmp_path_factory.mktemp('big'), contents=contents)


@pytest.fixture(scope='session')
def raw_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Images that are not converted, by disk format."""
    directory = tmp_path_factory.mktemp('raw')
    return {'raw': images.raw(directory), 'iso': images.iso(directory)}


def region(
    first: Cloud,
    name: str,
    overrides: config.Options | None = None,
    filters: Mapping[str, str] | None = None,
) -> Cloud:
    """Another Glance, under a cloud's Keystone and on its Ceph.

    It reads originals back from their store, unless told otherwise.
    """
    options = dict(overrides or {})
    ours = {'convert_staged': 'never', **options.get('glance_rawstore', {})}
    return Cloud(
        first.cluster,
        {**options, 'glance_rawstore': ours},
        filters=filters,
        prefix=f'{name.lower()}-',
        region=name,
        keystone=first.keystone,
        processes=1,
    )


@pytest.fixture(scope='module')
def _lenient(running_cloud: Cloud) -> Iterator[Cloud]:
    overrides = {'image_format': {'require_image_format_match': False}}
    with region(running_cloud, 'Lenient', overrides) as running:
        yield running


@pytest.fixture
def lenient_cloud(_lenient: Cloud) -> Iterator[Cloud]:
    """A Glance that takes images whose format it does not recognise."""
    yield _lenient
    tidy(_lenient)


@pytest.fixture
def lenient_pool(lenient_cloud: Cloud) -> Pool:
    """Its raw pool."""
    return Pool(lenient_cloud)


@pytest.fixture
def impatient_cloud(running_cloud: Cloud) -> Iterator[Cloud]:
    """A Glance whose Ceph operations time out after seconds."""
    overrides = {
        'raw': {'rados_connect_timeout': 5},
        'glance_rawstore': {'stall_timeout': 10},
    }
    with region(running_cloud, 'Impatient', overrides) as running:
        yield running
        tidy(running)


@pytest.fixture
def impatient_pool(impatient_cloud: Cloud) -> Pool:
    """Its raw pool."""
    return Pool(impatient_cloud)


@pytest.fixture
def other_region(running_cloud: Cloud) -> Iterator[Cloud]:
    """A second Glance under the same Keystone."""
    with region(running_cloud, 'Other') as running:
        yield running
        tidy(running)


@pytest.fixture(scope='module')
def _discreet(running_cloud: Cloud) -> Iterator[Cloud]:
    overrides = {
        'DEFAULT': {
            'show_image_direct_url': False,
            'show_multiple_locations': False,
        },
        'paste_deploy': {'flavor': 'keystone+caching'},
    }
    with region(running_cloud, 'Discreet', overrides, RAW_VIEW) as running:
        yield running


@pytest.fixture
def discreet_cloud(_discreet: Cloud) -> Iterator[Cloud]:
    """A Glance that shows no locations, and has an image cache."""
    yield _discreet
    tidy(_discreet)
