# SPDX-License-Identifier: Apache-2.0
"""Read the facts: of all images, cheaply, or of one, exactly.

Glance is read before Ceph. A worker makes the ``.part`` first and the
location after it, so whoever sees a location and then finds nothing in the
raw pool knows that it names nothing.

All images cost a few pages of Glance's database, one listing of the raw pool
and one of its trash, and then some operations for each copy that is being
made, is in the trash, or whose image says nothing about it.
"""

import collections
import time
from collections.abc import Callable, Iterator

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import uses
from glance_rawstore.agent import lying
from glance_rawstore.agent.facts import Copy
from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.facts import Image
from glance_rawstore.agent.facts import Task
from glance_rawstore.agent.policy import Policy
from glance_rawstore.agent.policy import Wish
from glance_rawstore.agent.policy import wish
from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import CopyTask
from glance_rawstore.catalog import Image as CatalogImage
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.evicted import Evicted


class Reader:
    """Reads Glance's database and one raw pool.

    :param catalog: Glance's side
    :param pool: the raw pool
    :param policy: what the operator wants
    :param clock: seconds since the epoch
    """

    def __init__(
        self,
        catalog: Catalog,
        pool: raw_pool.RawPool,
        policy: Policy,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._catalog = catalog
        self._pool = pool
        self._policy = policy
        self._clock = clock
        self._fsid = str(pool.client.get_fsid())

    def url(self, image_id: str) -> str:
        """URL of the location of an image's copy."""
        return raw_copy.url(self._fsid, self._pool.name, image_id)

    def one(self, image_id: str) -> Facts:
        """All that is known of one image, as it is now.

        :raises CephUnavailable: the cluster does not answer
        """
        try:
            return self._one(image_id)
        except exceptions.Damaged:
            return self._damaged(image_id)

    def _damaged(self, image_id: str) -> Facts:
        """Facts that are not enough to do anything."""
        found = lying.damaged(self._pool, image_id)
        return Facts(image_id, damaged=found)

    def _one(self, image_id: str) -> Facts:
        image = self._catalog.image(image_id)
        known = image is not None or self._catalog.known(image_id)
        tasks = self._catalog.copy_tasks(image_id)
        # In this order, a commit in between shows as either or as both.
        part = lying.part_of(self._pool, image_id)
        # The note before the copy: one that is made since is another's.
        noted = evicted.read(self._pool.ioctx, image_id)
        copy = lying.copy_of(self._pool, image_id, noted)
        if copy is not None and part is not None:
            # Both names of one image: a rename that goes on, or does not.
            copy = None if part.rbd_id == copy.rbd_id else copy
        use = uses.read(self._pool.ioctx, image_id)
        trash = inventory.trashed(self._pool)
        mine = [each.rbd_id for each in trash if each.image_id == image_id]
        return self._facts(
            image_id,
            image,
            known=known,
            copy=copy,
            part=part,
            trashed=tuple(lying.trashed(self._pool, x) for x in mine),
            tasks=self._open(tasks),
            attempts=attempts.read(self._pool.ioctx, image_id),
            handed_over=handover.offered(self._pool.ioctx, image_id),
            evicted=noted,
            asked=use.asked if use else None,
            used=use is not None,
            ordered=orders.read(self._pool.ioctx, image_id) is not None,
        )

    def all(self) -> Iterator[Facts]:
        """Facts of every image about which there may be something to do.

        What changes meanwhile may be seen half: read one image again before
        anything is done to it. A copy that cannot be opened does not keep the
        images after it from being read.

        :raises CephUnavailable: the cluster does not answer
        """
        images = {
            image.image_id: image
            for image in self._catalog.all_images()
            if self._matters(image)
        }
        tasks = collections.defaultdict(list)
        for task in self._catalog.open_tasks():
            tasks[task.image_id].append(task)
        noted = evicted.read_all(self._pool.ioctx)
        found = lying.listing(self._pool)
        known = attempts.read_all(self._pool.ioctx)
        offered = handover.all_offered(self._pool.ioctx)
        used = uses.read_all(self._pool.ioctx)
        ordered = orders.read_all(self._pool.ioctx)
        every = {*images, *tasks, *found, *known, *offered, *noted, *used}
        every |= ordered.keys()
        for image_id in sorted(every):
            image = images.get(image_id) or self._catalog.image(image_id)
            here = found.get(image_id, lying.Found())
            copy, part = None, None
            try:
                if here.copy:
                    copy = self._copy(image, image_id, noted.get(image_id))
                if here.part:
                    part = lying.part_of(self._pool, image_id)
            except exceptions.Damaged:
                yield self._damaged(image_id)
                continue
            yield self._facts(
                image_id,
                image,
                known=image is not None or self._catalog.known(image_id),
                copy=copy,
                part=part,
                trashed=tuple(
                    lying.trashed(self._pool, x) for x in here.trashed
                ),
                tasks=self._open(tasks[image_id]),
                attempts=known.get(image_id),
                handed_over=offered.get(image_id),
                evicted=noted.get(image_id),
                asked=used[image_id].asked if image_id in used else None,
                used=image_id in used,
                ordered=image_id in ordered,
            )

    def _facts(
        self,
        image_id: str,
        image: CatalogImage | None,
        **found: object,
    ) -> Facts:
        rows: tuple[object, ...] = ()
        if image is not None:
            url = self.url(image_id)
            rows = tuple(
                row['metadata']
                for row in image.locations
                if row['url'] == url and row['status'] == 'active'
            )
        shown = self._image(image) if image is not None else None
        return Facts(image_id, image=shown, rows=rows, **found)  # type: ignore[arg-type]

    def _matters(self, image: CatalogImage) -> bool:
        """Whether an image has a wish, or a location of ours."""
        if wish(self._image(image), self._policy) != Wish.ABSENT:
            return True
        url = self.url(image.image_id)
        return any(row['url'] == url for row in image.locations)

    def _image(self, image: CatalogImage) -> Image:
        url = self.url(image.image_id)
        return Image(
            status=image.status,
            disk_format=image.disk_format,
            container_format=image.container_format,
            properties=image.properties,
            importing=image.import_task is not None,
            has_data=any(row['url'] != url for row in image.locations),
            updated_at=image.updated_at,
        )

    def _open(self, tasks: list[CopyTask]) -> tuple[Task, ...]:
        now = self._clock()
        return tuple(
            Task(
                task.task_id,
                task.status,
                age=now - task.created,
                idle=now - task.updated,
            )
            for task in tasks
            if task.is_open
        )

    def _copy(
        self,
        image: CatalogImage | None,
        image_id: str,
        noted: Evicted | None,
    ) -> Copy:
        """A copy that was listed; looked into only where that matters."""
        if image is None:
            return Copy('')
        wished = wish(self._image(image), self._policy) != Wish.ABSENT
        if wished and noted is None:
            return Copy('')
        return lying.copy_of(self._pool, image_id, noted) or Copy('')
