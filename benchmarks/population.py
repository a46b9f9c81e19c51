# SPDX-License-Identifier: Apache-2.0
"""Images as a cloud may have them, thousands of them, without their data.

Rows in Glance's database, made by its own code, and copies in Ceph, made by
ours; neither an original nor a guest's byte, since nobody reads any.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from glance.common import config as glance_config  # noqa: F401, options
from glance.context import RequestContext
from glance.db.sqlalchemy import api as db
from oslo_config import cfg

from benchmarks.images import MIB
from glance_rawstore import attempts
from glance_rawstore import ceph
from glance_rawstore import directory
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


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a cloud's images are; plain values, for other processes too.

    :param conf: path of glance-api.conf
    :param ceph_conf: path of ceph.conf
    """

    conf: str
    ceph_conf: str
    fsid: str
    images_pool: str
    raw_pool: str

    @classmethod
    def of(cls, cloud: Cloud) -> Place:
        """That of a cloud."""
        return cls(
            conf=str(cloud.conf),
            ceph_conf=str(cloud.cluster.conf),
            fsid=cloud.cluster.fsid,
            images_pool=cloud.images_pool,
            raw_pool=cloud.raw_pool,
        )

    def settings(self, pool: str = '') -> ceph.Settings:
        """How a pool is reached, as Ceph's administrator.

        :param pool: the raw pool by default
        """
        return ceph.Settings(
            pool=pool or self.raw_pool,
            user='admin',
            conf_file=self.ceph_conf,
        )


def make(cloud: Cloud, owner: str) -> list[str]:
    """Make all of them; return the ids of those with a copy.

    :param owner: project id of the tenant
    """
    cfg.CONF([], 'glance', default_config_files=[str(cloud.conf)])
    place = Place.of(cloud)
    ids = [str(uuid.uuid4()) for _ in range(IMAGES)]
    copied, failed = ids[:COPIES], ids[COPIES : COPIES + FAILED]
    # A list is in the order of creation; copies are to be all over it.
    for image_id in sorted(ids):
        wished = image_id in (*copied, *failed)
        enter(place, owner, image_id, wished, image_id in copied)
    with raw_pool.RawPool.open(place.settings()) as pool:
        make_copies(pool, copied)
        for image_id in failed:
            attempts.write(pool.ioctx, image_id, _FAILED)
    return copied


def enter(
    place: Place, owner: str, image_id: str, wished: bool, copied: bool
) -> None:
    """Enter one image into Glance's database.

    :param wished: a raw copy is
    :param copied: there is one
    """
    wish = _WISH if wished else {}
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
            'locations': list(_locations(place, image_id, copied)),
        },
    )


def _locations(
    place: Place, image_id: str, copied: bool
) -> Iterator[dict[str, Any]]:
    yield {
        'url': f'rbd://{place.fsid}/{place.images_pool}/{image_id}/snap',
        'metadata': {'store': CEPH},
        'status': 'active',
    }
    if copied:
        active = states.Status.ACTIVE
        yield {
            'url': raw_copy.url(place.fsid, place.raw_pool, image_id),
            'metadata': raw_copy.location_metadata(RAW, active, 100, {}),
            'status': 'active',
        }


def make_copies(pool: raw_pool.RawPool, image_ids: Iterable[str]) -> None:
    """Make copies without a byte in them."""
    for image_id in image_ids:
        rbd_id = pool.begin(image_id, SIZE, OBJECT_SIZE)
        pool.commit(image_id, rbd_id, {})


def date(cloud: Cloud, image_ids: Iterable[str], at: float) -> None:
    """Have copies be as if they had become active at that time.

    :param at: seconds since the epoch
    """
    names = [raw_copy.name(image_id) for image_id in image_ids]
    with raw_pool.RawPool.open(Place.of(cloud).settings()) as pool:
        for rbd_id in directory.ids(pool.ioctx, names).values():
            directory.set_meta(
                pool.ioctx, rbd_id, raw_copy.META_COMMITTED, f'{at:.6f}'
            )
