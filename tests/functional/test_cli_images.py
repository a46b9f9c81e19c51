# SPDX-License-Identifier: Apache-2.0
"""Commands about single images, against a real Glance and Ceph."""

import json
import uuid
from pathlib import Path

from tests.cloud import Cloud
from tests.functional.agents import run
from tests.functional.support import Tenant


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

    (line,) = (
        line
        for line in cloud.log().splitlines()
        if f'Raw copy of image {image_id} is active' in line
    )

    assert task['request_id'].startswith('req-')
    assert task['request_id'] in line
