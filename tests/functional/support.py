# SPDX-License-Identifier: Apache-2.0
"""What tests do as a tenant, and what they look at afterwards."""

import contextlib
import hashlib
import sqlite3
import subprocess
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

import rbd
import tenacity
from glanceclient import exc

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import ceph
from glance_rawstore import cluster_slots
from glance_rawstore import crew
from glance_rawstore import downloads
from glance_rawstore import evicted
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import tally
from glance_rawstore import uses
from glance_rawstore.lifecycle import raw_copy
from tests.cloud import Cloud
from tests.waiting import DEADLINE
from tests.waiting import eventually

#: What is logged of an image of which the staged file is converted.
FROM_STAGED = 'its staged file is what was stored, and is converted'
#: The same where no core was idle for so long that it could not be hashed.
STAGED_IN_VAIN = 'what was staged is not what was stored, or could not be'


def await_true(
    condition: Callable[[], Any], what: str, seconds: float = DEADLINE
) -> Any:
    """Wait for a condition and return its value.

    :raises AssertionError: naming what was awaited in vain
    """
    return eventually(condition, what, seconds, between=0.05)


class Tenant:
    """One user of a cloud and the images that he imports."""

    def __init__(self, cloud: Cloud, name: str = 'alice') -> None:
        self.cloud = cloud
        self.name = name
        self.images = cloud.client(name).images

    def stage(
        self, path: Path, disk_format: str = 'qcow2', **properties: str
    ) -> str:
        """Create an image and stage its data; returns its id."""
        image_id: str = self.images.create(
            name=path.name,
            disk_format=disk_format,
            container_format=properties.pop('container_format', 'bare'),
            **properties,
        )['id']
        with path.open('rb') as data:
            self.images.stage(image_id, data)
        return image_id

    def start_import(
        self,
        path: Path,
        disk_format: str = 'qcow2',
        stores: list[str] | None = None,
        **properties: str,
    ) -> str:
        """Start importing a file by glance-direct; returns the image's id."""
        image_id = self.stage(path, disk_format, **properties)
        self.images.image_import(
            image_id, method='glance-direct', stores=stores
        )
        return image_id

    def import_file(
        self, path: Path, disk_format: str = 'qcow2', **kwargs: Any
    ) -> str:
        """Import a file and wait until the import has ended."""
        image_id = self.start_import(path, disk_format, **kwargs)
        self.await_active(image_id)
        return image_id

    def make_copy(
        self, path: Path, disk_format: str = 'qcow2', **properties: str
    ) -> str:
        """Import a file with ``raw_cache`` and wait for its raw copy."""
        properties.setdefault('raw_cache', 'true')
        image_id = self.start_import(path, disk_format, **properties)
        task = self.await_copy_task(image_id)
        assert task['status'] == 'success', task
        return image_id

    def await_active(self, image_id: str) -> Any:
        """Wait until an image is active and its import has ended."""

        def active() -> Any:
            image = self.images.get(image_id)
            ended = 'os_glance_import_task' not in image
            if ended and image.status != 'active':
                failed = [t for t in self.tasks(image_id) if t['message']]
                assert not failed, failed
            return image if ended and image.status == 'active' else None

        return await_true(active, f'{image_id} is active')

    def tasks(self, image_id: str) -> list[dict[str, Any]]:
        """The image's tasks."""
        found: list[dict[str, Any]] = self.images.get_associated_image_tasks(
            image_id
        )['tasks']
        return found

    def copy_task(self, image_id: str) -> dict[str, Any] | None:
        """The task of the image's raw copy, or None."""
        for task in self.tasks(image_id):
            if task['input']['import_req']['method']['name'] == 'raw-cache':
                return task
        return None

    def await_copy_task(
        self,
        image_id: str,
        statuses: tuple[str, ...] = ('success', 'failure'),
        seconds: float = DEADLINE,
    ) -> dict[str, Any]:
        """Wait until the raw copy's task has one of these statuses."""

        def reached() -> dict[str, Any] | None:
            task = self.copy_task(image_id)
            return task if task and task['status'] in statuses else None

        task: dict[str, Any] = await_true(
            reached, f'copy task of {image_id} is one of {statuses}', seconds
        )
        return task

    def locations(self, image_id: str) -> dict[str, Any]:
        """The image's locations as an admin sees them, by store."""
        image = self.cloud.client('admin').images.get(image_id)
        return {loc['metadata']['store']: loc for loc in image.locations}

    def download_sha512(self, image_id: str) -> str:
        """Digest of what a tenant downloads."""
        digest = hashlib.sha512()
        for chunk in self.images.data(image_id):
            digest.update(chunk)
        return digest.hexdigest()


def open_tasks(cloud: Cloud, image_id: str | None = None) -> list[str]:
    """Tasks that have not ended, of deleted images as well.

    Glance tells nobody of those, so its database is asked.

    :param image_id: of this image alone
    :returns: what is known of each
    """
    query = (
        'SELECT t.image_id, t.status, i.message '
        'FROM tasks t JOIN task_info i ON i.task_id = t.id '
        "WHERE t.status IN ('pending', 'processing') AND NOT t.deleted"
    )
    path = cloud.directory / 'glance.db'
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as database:
        rows = database.execute(query).fetchall()
    return [str(row) for row in rows if image_id in (None, row[0])]


def importing(cloud: Cloud) -> list[str]:
    """Ids of the images on which an import has its lock."""
    return _ids(
        cloud,
        'select image_id from image_properties as property join images '
        'on images.id = image_id where not property.deleted '
        "and property.name = 'os_glance_import_task' "
        'and not images.deleted',
    )


def pending(cloud: Cloud) -> list[str]:
    """Ids of the images that have the location of a pending copy."""
    return _ids(
        cloud,
        'select image_id from image_locations where not deleted '
        """and meta_data like '%"status": "pending"%'""",
    )


def _ids(cloud: Cloud, query: str) -> list[str]:
    path = cloud.directory / 'glance.db'
    with contextlib.closing(
        sqlite3.connect(f'file:{path}?mode=ro', uri=True, timeout=60)
    ) as database:
        return [image_id for (image_id,) in database.execute(query)]


def in_database(cloud: Cloud, statement: str, *values: Any) -> None:
    """Change one row of Glance's database behind its back."""
    path = cloud.directory / 'glance.db'
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as db, db:
        assert db.execute(statement, values).rowcount == 1


def let_import_lock_go_stale(cloud: Cloud, task_id: str) -> None:
    """Let Glance think that a task with its lock was heard of an hour ago."""
    in_database(
        cloud,
        "UPDATE tasks SET updated_at = datetime('now', '-61 minutes') "
        'WHERE id = ?',
        task_id,
    )


def throttled(cloud: Cloud, image_id: str, rate: int) -> None:
    """Let each client read so much of an original in RBD, and no more.

    :param rate: in bytes a second
    """
    settings = ceph.Settings(
        str(cloud.cluster.conf), 'admin', cloud.images_pool
    )
    with (
        ceph.connect(settings) as (_, ioctx),
        rbd.Image(ioctx, image_id) as image,
    ):
        image.metadata_set('conf_rbd_qos_read_bps_limit', str(rate))


@contextlib.contextmanager
def full(cloud: Cloud) -> Iterator[None]:
    """The raw pool is full meanwhile, by its quota.

    There must be a copy in it already, or something being written.
    """
    cloud.cluster.set_quota(cloud.raw_pool, 1 << 20)
    try:
        await_true(lambda: cloud.cluster.is_full(cloud.raw_pool), 'it is full')
        yield
    finally:
        cloud.cluster.set_quota(cloud.raw_pool, 0)
        await_true(
            lambda: not cloud.cluster.is_full(cloud.raw_pool), 'it has room'
        )


class Pool:
    """The raw pool of a cloud, looked at with Glance's own cephx user."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.settings = ceph.Settings(
            str(cloud.cluster.conf), cloud.ceph_user, cloud.raw_pool
        )

    def names(self) -> list[str]:
        """Names of everything in the pool, trash included."""
        with raw_pool.RawPool.open(self.settings) as pool:
            present = list(rbd.RBD().list(pool.ioctx))
            trashed = rbd.RBD().trash_list(pool.ioctx)
            return present + [f'trash:{entry["name"]}' for entry in trashed]

    def objects(self, prefix: str = '') -> list[str]:
        """Objects in the pool, but for those that are always there.

        :param prefix: how their names begin
        """
        kept = {
            *('rbd_directory', 'rbd_info', 'rbd_trash', 'rbd_children'),
            attempts.OBJECT,
            handover.OBJECT,
            uses.OBJECT,
            downloads.OBJECT,
            orders.OBJECT,
            budget.OBJECT,
            cluster_slots.OBJECT,
            crew.OBJECT,
            evicted.OBJECT,
            tally.OBJECT,
        }
        with raw_pool.RawPool.open(self.settings) as pool:
            found = [str(item.key) for item in pool.ioctx.list_objects()]
        return sorted(n for n in set(found) - kept if n.startswith(prefix))

    def await_empty(self, seconds: float = DEADLINE) -> None:
        """Wait until nothing is left in the pool."""
        await_true(
            lambda: not self.names(),
            f'{self.cloud.raw_pool} is empty, not {self.names()}',
            seconds,
        )

    def reap(self) -> inventory.Reaped:
        """Reap once."""
        with raw_pool.RawPool.open(self.settings) as pool:
            return inventory.reap(pool)

    def node(self, image_id: str, part: bool = False) -> str:
        """How qemu-img reaches the copy of an image."""
        name = (raw_copy.part_name if part else raw_copy.name)(image_id)
        at = '' if part else f'@{raw_copy.SNAPSHOT}'
        return (
            f'rbd:{self.cloud.raw_pool}/{name}{at}:id={self.cloud.ceph_user}'
            f':conf={self.cloud.cluster.conf}'
        )

    def assert_identical(self, image_id: str, source: Path) -> None:
        """The copy of an image is, byte by byte, what a guest sees of a file.

        :param source: whose format qemu-img tells by itself
        """
        done = subprocess.run(
            ['qemu-img', 'compare', source, self.node(image_id)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f'{done.stdout}{done.stderr}'


def sha512(path: Path) -> str:
    """Digest of a file."""
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha512').hexdigest()


def original_facts(image: Any) -> dict[str, Any]:
    """What must not change of an image while its copy comes and goes."""
    kept = (
        'checksum',
        'os_hash_algo',
        'os_hash_value',
        'size',
        'virtual_size',
        'disk_format',
        'container_format',
        'status',
        'updated_at',
        'visibility',
        'raw_cache',
    )
    return {name: image.get(name) for name in kept}


@tenacity.retry(
    retry=tenacity.retry_if_exception_type(exc.HTTPConflict),
    wait=tenacity.wait_fixed(2),
    stop=tenacity.stop_after_delay(DEADLINE),
    reraise=True,
)
def _delete(images_api: Any, image_id: str) -> None:
    """Delete; a reader that was killed holds the original for 30 s."""
    images_api.delete(image_id)


def tidy(cloud: Cloud, kept: Collection[str] = ()) -> None:
    """Delete every image and whatever is left in the pools.

    :param kept: ids of images to keep; what is left in the pools then stays
    """
    admin = cloud.client('admin').images
    for hidden in (False, True):
        every = {'visibility': 'all', 'os_hidden': hidden}
        for image in admin.list(filters=every):
            if image.id not in kept:
                _delete(admin, image.id)
    if not kept:
        cloud.cluster.empty_pool(cloud.raw_pool, cloud.images_pool)
