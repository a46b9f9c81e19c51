# SPDX-License-Identifier: Apache-2.0
"""Where Glance reads images for its own purposes it goes on using originals.

Of images that have an active copy, in a Glance that has the raw view.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.functional.callers import Caller
from tests.functional.callers import nova
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.processes import run

MIB = 1 << 20

#: ``glance.cmd.cache_prefetcher``, with threads.
PREFETCHER = """
import sys
import glance_store
import glance.async_
from glance.common import config
from glance.image_cache import prefetcher

config.parse_cache_args(['--config-file', sys.argv[1]])
glance.async_.set_threadpool_model('native')
glance_store.register_store_opts(config.CONF)
glance_store.create_multi_stores(config.CONF)
glance_store.verify_store()
sys.exit(0 if prefetcher.Prefetcher().run() else 'nothing was fetched')
"""


def by_the_cache_api(cloud: Cloud, image_id: str) -> None:
    """Have an image fetched by the API's own worker."""
    admin = Caller(cloud, 'admin')
    admin.url = admin.url.replace('/images', '/cache')
    assert admin.ask('PUT', f'/{image_id}').status_code == 202


def by_the_prefetcher(cloud: Cloud, image_id: str) -> None:
    """Have it fetched by what glance-cache-prefetcher runs.

    The program itself does not start in Glance 33: it asks for eventlet,
    which Glance refuses.
    """
    (cloud.directory / 'cache' / 'queue' / image_id).touch()
    run([sys.executable, '-c', PREFETCHER, str(cloud.conf)])


@pytest.mark.parametrize('fetch', [by_the_cache_api, by_the_prefetcher])
def test_what_is_fetched_into_the_cache_is_the_original(
    discreet_cloud: Cloud,
    small_image: Path,
    fetch: Callable[[Cloud, str], None],
) -> None:
    image_id = Tenant(discreet_cloud).make_copy(small_image)
    cached = discreet_cloud.directory / 'cache' / image_id

    fetch(discreet_cloud, image_id)

    await_true(cached.exists, 'it is cached')
    assert cached.read_bytes() == small_image.read_bytes()
    service = nova(discreet_cloud)
    service.image(image_id)
    answer = service.ask('GET', f'/{image_id}/file')
    assert len(answer.content) == 64 * MIB, 'services get raw bytes still'


def test_copy_image_copies_the_original(
    cloud: Cloud, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.make_copy(small_image)
    admin = cloud.client('admin').images

    admin.image_import(image_id, method='copy-image', stores=['fast'])
    await_true(lambda: 'fast' in tenant.locations(image_id), 'it is copied')

    tenant.await_active(image_id)
    copied = cloud.directory / 'fast' / image_id
    assert copied.read_bytes() == small_image.read_bytes()
