# SPDX-License-Identifier: Apache-2.0
"""Copies are made whichever way an image is imported."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cloud import Cloud
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import sha512


@pytest.fixture
def served(small_image: Path) -> Iterator[str]:
    """URL under which the small image can be downloaded."""
    handler = functools.partial(
        http.server.SimpleHTTPRequestHandler, directory=small_image.parent
    )
    with http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f'http://127.0.0.1:{server.server_port}/{small_image.name}'
        server.shutdown()
        thread.join()


def test_web_download(
    cloud: Cloud, pool: Pool, served: str, small_image: Path
) -> None:
    tenant = Tenant(cloud)
    image_id = tenant.images.create(
        name='web',
        disk_format='qcow2',
        container_format='bare',
        raw_cache='true',
    )['id']
    tenant.images.image_import(image_id, method='web-download', uri=served)
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert tenant.download_sha512(image_id) == sha512(small_image)
    assert pool.names() == [f'{image_id}_raw']


def test_glance_download_from_another_region(
    cloud: Cloud, other_region: Cloud, pool: Pool, small_image: Path
) -> None:
    away = Tenant(other_region)
    source = away.make_copy(small_image)
    tenant = Tenant(cloud)
    image_id = tenant.images.create(
        name='download',
        disk_format='qcow2',
        container_format='bare',
        raw_cache='true',
    )['id']
    tenant.images.image_import(
        image_id,
        method='glance-download',
        remote_region=other_region.region,
        remote_image_id=source,
        remote_service_interface='public',
    )
    assert tenant.await_copy_task(image_id)['status'] == 'success'
    assert tenant.download_sha512(image_id) == sha512(small_image)
    assert pool.names() == [f'{image_id}_raw']
