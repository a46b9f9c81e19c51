# SPDX-License-Identifier: Apache-2.0
"""What tenants do with images, in one call each, with a deadline.

`client` is always one of Cloud.client(); further arguments are properties of
the new image, e.g. raw_cache='true'.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.processes import ProcessError
from tests.processes import wait_for
from tests.waiting import DEADLINE


def create(client: Any, **properties: Any) -> str:
    """Make an image without data; return its id."""
    defaults = {'disk_format': 'qcow2', 'container_format': 'bare'}
    return str(client.images.create(**{**defaults, **properties}).id)


def upload(client: Any, path: Path, **properties: Any) -> str:
    """Make an image by uploading a file; return its id."""
    image_id = create(client, **properties)
    with path.open('rb') as data:
        client.images.upload(image_id, data)
    return image_id


def import_direct(
    client: Any, path: Path, stores: list[str] | None = None, **properties: Any
) -> str:
    """Make an image by glance-direct; return its id, perhaps still importing.

    :param stores: the default one if None
    """
    image_id = create(client, **properties)
    with path.open('rb') as data:
        client.images.stage(image_id, data)
    client.images.image_import(image_id, 'glance-direct', stores=stores)
    return image_id


def import_from(client: Any, url: str, **properties: Any) -> str:
    """Make an image by web-download; return its id, still importing."""
    image_id = create(client, **properties)
    client.images.image_import(image_id, 'web-download', uri=url)
    return image_id


def wait_until_active(
    client: Any, image_id: str, seconds: float = DEADLINE
) -> Any:
    """Return the image once it is active and no import is under way.

    :raises ProcessError: with the image's tasks, if the import failed or is
        not done after so many seconds
    """

    def settled() -> bool:
        image = client.images.get(image_id)
        if image.status == 'active':
            return not image.get('os_glance_importing_to_stores')
        return _failed(client, image_id)

    wait_for(settled, seconds)
    image = client.images.get(image_id)
    if image.status != 'active':
        tasks = client.images.get_associated_image_tasks(image_id)['tasks']
        raise ProcessError(f'image {image_id}: {image.status}\n{tasks}')
    return image


def _failed(client: Any, image_id: str) -> bool:
    # The image itself is merely queued again when its import has failed.
    tasks = client.images.get_associated_image_tasks(image_id)['tasks']
    return any(task['status'] == 'failure' for task in tasks)


def download(client: Any, image_id: str, path: Path) -> Path:
    """Write an image's data to a file; return that."""
    with path.open('wb') as file:
        for chunk in client.images.data(image_id):
            file.write(chunk)
    return path
