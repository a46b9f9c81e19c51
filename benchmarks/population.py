# SPDX-License-Identifier: Apache-2.0
"""A thousand images as a cloud may have them, made without their data.

Rows in Glance's database, made by its own code, and copies in Ceph, made by
ours; neither an original nor a guest's byte, since nobody reads any.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

from glance.common import config as glance_config  # noqa: F401, options
from glance.context import RequestContext
from glance.db.sqlalchemy import api as db
from oslo_config import cfg

from benchmarks.images import MIB
from glance_rawstore import attempts
from glance_rawstore import ceph
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.attempts import Attempts
from tests.cloud import Cloud
from tests.cloud.config import CEPH
from tests.cloud.config import RAW

#: All of them; those with a raw copy; those whose copy has failed, as tenants
#: are shown. The others never asked for one.
IMAGES, COPIES, FAILED = 1000, 300, 50

#: In bytes, of each copy; nothing is written to it.
SIZE = 64 * MIB
OBJECT_SIZE = 8 * MIB

_FAILED = Attempts(
    count=1,
    refused=False,
    error='The pool for raw copies is full.',
    at=0.0,
    version='',
)

_WISH = {'raw_cache': 'true'}
# of a public cloud's images, about as many as these have
_PROPERTIES = {
    'architecture': 'x86_64',
    'hw_disk_bus': 'scsi',
    'hw_qemu_guest_agent': 'yes',
    'hw_scsi_model': 'virtio-scsi',
    'os_distro': 'debian',
    'os_type': 'linux',
    'os_version': '12',
}


def make(cloud: Cloud, owner: str) -> list[str]:
    """Make all of them; return the ids of those with a copy.

    :param owner: project id of the tenant
    """
    cfg.CONF([], 'glance', default_config_files=[str(cloud.conf)])
    ids = [str(uuid.uuid4()) for _ in range(IMAGES)]
    copied, failed = ids[:COPIES], ids[COPIES : COPIES + FAILED]
    # A list is in the order of creation; copies are to be all over it.
    for image_id in sorted(ids):
        _enter(cloud, owner, image_id, copied, failed)
    _make_copies(cloud, copied, failed)
    return copied


def _enter(
    cloud: Cloud,
    owner: str,
    image_id: str,
    copied: list[str],
    failed: list[str],
) -> None:
    """Enter one image into Glance's database."""
    wish = _WISH if image_id in (*copied, *failed) else {}
    db.image_create(
        RequestContext(is_admin=True),
        {
            'id': image_id,
            'name': f'image {image_id[:8]}',
            'owner': owner,
            'status': 'active',
            'visibility': 'shared',
            'disk_format': 'qcow2',
            'container_format': 'bare',
            'size': SIZE // 4,
            'virtual_size': SIZE,
            'checksum': uuid.uuid4().hex,
            'os_hash_algo': 'sha512',
            'os_hash_value': uuid.uuid4().hex * 4,
            'min_disk': 1,
            'min_ram': 512,
            'properties': {**_PROPERTIES, **wish},
            'locations': list(_locations(cloud, image_id, copied)),
        },
    )


def _locations(
    cloud: Cloud, image_id: str, copied: list[str]
) -> Iterator[dict[str, Any]]:
    fsid = cloud.cluster.fsid
    yield {
        'url': f'rbd://{fsid}/{cloud.images_pool}/{image_id}/snap',
        'metadata': {'store': CEPH},
        'status': 'active',
    }
    if image_id in copied:
        active = states.Status.ACTIVE
        yield {
            'url': raw_copy.url(fsid, cloud.raw_pool, image_id),
            'metadata': raw_copy.location_metadata(RAW, active, 100, {}),
            'status': 'active',
        }


def _make_copies(cloud: Cloud, copied: list[str], failed: list[str]) -> None:
    settings = ceph.Settings(
        pool=cloud.raw_pool, user='admin', conf_file=str(cloud.cluster.conf)
    )
    with raw_pool.RawPool.open(settings) as pool:
        for image_id in copied:
            rbd_id = pool.begin(image_id, SIZE, OBJECT_SIZE)
            pool.commit(image_id, rbd_id, {})
        for image_id in failed:
            attempts.write(pool.ioctx, image_id, _FAILED)
