# SPDX-License-Identifier: Apache-2.0
"""Clean a raw store up that is given up. Can be repeated, and interrupted.

Location rows go before copies, so that nobody is sent to what is gone; what
clones need goes to the trash, and is reaped by a later run.
"""

import dataclasses
from collections.abc import Iterable, Iterator

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import raw_pool
from glance_rawstore import tables
from glance_rawstore.agent.node import Node
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.raw_copy import ADVICE
from glance_rawstore.lifecycle.raw_copy import RawCopy
from glance_rawstore.lifecycle.states import Status

_GIVEN_UP = 'The store for raw copies was given up.'


@dataclasses.dataclass(frozen=True)
class Stays:
    """What is left in the pool, and why.

    :param name: id of the image, or the name of the RBD image
    """

    name: str
    why: str


class Purging:
    """Cleans one raw store up.

    :param node: what to work with
    :param pool: its open raw pool
    """

    def __init__(self, node: Node, pool: raw_pool.RawPool) -> None:
        self._node = node
        self._pool = pool

    def obstacles(self) -> Iterator[str]:
        """Who would make copies while we remove them."""
        if handover.attended(self._pool.ioctx):
            yield (
                'An agent is running: stop the agents of all nodes. One that '
                'was killed counts for half a minute.'
            )
        for image_id in self._being_made():
            yield (
                f'The copy of image {image_id} is being made: take raw_cache '
                'out of image_import_plugins everywhere, or wait.'
            )

    def _being_made(self) -> Iterator[str]:
        for part in inventory.listing(self._pool).parts:
            if lease.held(self._pool.ioctx, part.rbd_id):
                yield part.image_id

    def copies(self) -> list[RawCopy]:
        """The copies that can be deleted, with what they use."""
        return [
            copy
            for copy in inventory.copies(self._pool)
            if copy.status is not Status.PENDING_DELETE
        ]

    def rows(self) -> list[str]:
        """Ids of the images with a location in the store."""
        return [
            image.image_id
            for image in self._node.catalog.all_images()
            if any(
                row['url'] == self._pool.url(image.image_id)
                for row in image.locations
            )
        ]

    def purge(self, image_id: str) -> bool:
        """Remove an image's location, and its copy.

        :returns: False while clones keep the copy in the trash
        """
        url = self._pool.url(image_id)
        self._node.catalog.remove_location(image_id, url)
        try:
            return self._pool.delete(image_id)
        except exceptions.NotFound:
            return True

    def fail_tasks(self, image_ids: Iterable[str]) -> None:
        """End the tasks of these images, and of what was handed over."""
        ours = {*image_ids, *handover.all_offered(self._pool.ioctx)}
        for task in self._node.catalog.open_tasks():
            if task.image_id in ours:
                self._node.catalog.fail_task(task.task_id, _GIVEN_UP)

    def finish(self) -> list[Stays]:
        """Reap, remove what was noted, and look what stays."""
        inventory.reap(self._pool)
        tables.remove_all(self._pool.ioctx)
        return list(self.stays())

    def stays(self) -> Iterator[Stays]:
        """What is in the pool that is not deleted, and why."""
        for copy in inventory.copies(self._pool):
            if copy.damaged or copy.status is Status.PENDING_DELETE:
                yield Stays(copy.image_id, _clones(copy))
        with ceph.translated():
            names = list(ceph.rbd.RBD().list(self._pool.ioctx))
        for name in names:
            if raw_copy.parse(name) is None:
                yield Stays(name, self._foreign(name))

    def _foreign(self, name: str) -> str:
        image = self._node.catalog.image(name)
        if image is None:
            return 'not a raw copy, and no image of this Glance'
        if len(image.locations) > 1:
            return 'the data of an image, which has other locations too'
        return (
            'the only data of an image: copy it to another store first, by '
            '"glance image-import --import-method copy-image --stores NAME"'
        )


def _clones(copy: RawCopy) -> str:
    if copy.damaged:
        return f'cannot be opened: {copy.damaged} {ADVICE}'
    if copy.children is None:
        return 'in the trash: clones in other pools need it'
    if copy.children:
        return f'in the trash: needed by {", ".join(copy.children)}'
    return 'in the trash: somebody has it open'
