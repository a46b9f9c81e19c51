# SPDX-License-Identifier: Apache-2.0
"""Staged files that cannot be held where they are looked for.

Each API node stages on its own disk, and notes on the image under which URL
it can be reached; a node that is asked to import passes that on to it
(``glance.api.v2.images.ImagesController.import_image``).
"""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import glanceclient
import pytest

from tests.cloud import Cloud
from tests.cloud import wsgi
from tests.functional import agents
from tests.functional.support import FROM_STAGED
from tests.functional.support import STAGED_IN_VAIN
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import importing
from tests.functional.support import sha512
from tests.processes import Daemon
from tests.processes import free_port
from tests.waiting import DEADLINE


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


class Node:
    """Another API node of a cloud, with a staging directory of its own."""

    def __init__(self, cloud: Cloud, directory: Path, url: str) -> None:
        self._cloud = cloud
        self._url = url
        self.staging = directory / 'staging'
        self._log = directory / 'api.log'

    def images(self, user: str) -> Any:
        """The images as this node shows them to a user."""
        return glanceclient.Client(
            '2',
            session=self._cloud.keystone.session(user),
            endpoint_override=self._url,
        ).images

    def log(self) -> str:
        """All that it has logged."""
        return self._log.read_text(errors='replace')


@contextlib.contextmanager
def node(cloud: Cloud, directory: Path, called: str | None) -> Iterator[Node]:
    """Run another node.

    :param called: under which URL it says it can be reached; its own if None
    """
    port = free_port()
    url = f'http://127.0.0.1:{port}'
    home = directory / 'other'
    staging = home / 'staging'
    others: dict[str, dict[str, object]] = {
        'DEFAULT': {'worker_self_reference_url': called or url},
        'os_glance_staging_store': {'filesystem_store_datadir': staging},
        'os_glance_tasks_store': {'filesystem_store_datadir': home / 'tasks'},
        'task': {'work_dir': home / 'tasks'},
    }
    with (
        agents.configured(cloud, directory, 'other', others) as conf,
        contextlib.ExitStack() as stack,
    ):
        staging.mkdir()
        (home / 'tasks').mkdir()
        daemon = Daemon(
            'glance-api',
            wsgi.uwsgi('glance.wsgi.api', port),
            home / 'api.log',
            wsgi.environment(OS_GLANCE_CONFIG_DIR=str(conf.parent)),
        )
        stack.callback(daemon.kill)
        daemon.wait_until(lambda: wsgi.answers(f'{url}/healthcheck'), DEADLINE)
        found = Node(cloud, home, url)
        yield found
        assert list(found.staging.iterdir()) == []


def check(tenant: Tenant, pool: Pool, image_id: str, path: Path) -> None:
    """The image is as it was staged, has its copy, and nothing is left."""
    image = tenant.await_active(image_id)
    task = tenant.await_copy_task(image_id)
    assert task['status'] == 'success', task
    assert image.os_hash_value == sha512(path)
    assert tenant.download_sha512(image_id) == sha512(path)
    assert pool.names() == [f'{image_id}_raw']
    pool.assert_identical(image_id, path)
    assert list((tenant.cloud.directory / 'staging').iterdir()) == []


def test_one_behind_a_link_is_converted_when_it_is_stored(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    """As an operator leaves it who moves it to where there is room."""
    before = len(cloud.log())
    image_id = tenant.stage(small_image, raw_cache='true')
    name = cloud.directory / 'staging' / image_id
    name.symlink_to(shutil.move(name, tmp_path))

    tenant.images.image_import(image_id, method='glance-direct')

    check(tenant, pool, image_id, small_image)
    log = cloud.log()[before:]
    assert 'The staged file cannot be opened here' in log
    assert FROM_STAGED not in log


def test_a_node_that_passes_an_import_on_leaves_the_copy_to_the_other(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    with node(cloud, tmp_path, None) as other:
        before = len(cloud.log())
        image_id = tenant.stage(small_image, raw_cache='true')

        images = other.images(tenant.name)
        images.image_import(image_id, method='glance-direct')

        check(tenant, pool, image_id, small_image)
        assert 'Proxying POST request' in other.log()
        assert f'Image {image_id}' not in other.log()
        log = cloud.log()[before:]
        told = (FROM_STAGED, STAGED_IN_VAIN)
        assert any(f'Image {image_id}: {text}' in log for text in told)


def test_a_node_that_has_none_of_it_leaves_nothing(
    cloud: Cloud, tenant: Tenant, pool: Pool, small_image: Path, tmp_path: Path
) -> None:
    """All nodes are said to be reached under the same URL."""
    with node(cloud, tmp_path, cloud.catalog_url) as other:
        image_id = tenant.stage(small_image, raw_cache='true')

        images = other.images(tenant.name)
        images.image_import(image_id, method='glance-direct')
        await_true(lambda: not importing(cloud), 'the import has ended')
        # Glance keeps it, where it was staged.
        (cloud.directory / 'staging' / image_id).unlink()

        assert 'The staged file cannot be opened here' in other.log()
        assert tenant.images.get(image_id).status != 'active'
        pool.await_empty()
        assert tenant.copy_task(image_id) is None
