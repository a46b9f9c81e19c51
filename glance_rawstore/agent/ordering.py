# SPDX-License-Identifier: Apache-2.0
"""Have copies made because an operator says so, wished for or not."""

import time

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import tracing
from glance_rawstore import wishes
from glance_rawstore.agent import workers
from glance_rawstore.agent.node import Node
from glance_rawstore.catalog import CopyTask
from glance_rawstore.catalog import Image
from glance_rawstore.catalog import Requester
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.orders import Order

_WAITING = 'Waiting to make a raw copy, as an operator has ordered.'


class Ordering:
    """The orders of one operator at one time.

    :param node: what to work with
    :param pool: its open raw pool

    :ivar request_id: by which the tasks and log lines name them
    """

    def __init__(self, node: Node, pool: raw_pool.RawPool) -> None:
        self._node = node
        self._pool = pool
        self.request_id = tracing.new_request_id()

    def check(self, image_id: str) -> Image:
        """The image, if a copy of it can be made; changes nothing.

        :raises NotFound: there is no such image
        :raises NothingToDo: there is a copy, or none is needed
        :raises Refused: there cannot be one, or the image says it wants none
        :raises ConversionFailed: not at the moment
        """
        image = self._node.catalog.existing(image_id)
        if image.disk_format in formats.ALREADY_RAW:
            raise exceptions.NothingToDo(
                f'A {image.disk_format} image needs no raw copy.'
            )
        formats.check_formats(image.disk_format, image.container_format)
        if not wishes.wanted(image.properties, default=True):
            raise exceptions.Refused(
                'The image says that it wants no copy: it would be deleted '
                f'again. Take its property {wishes.PROPERTY} off first.'
            )
        wishes.weight(image.properties, 0)
        if image.status != 'active' or not image.locations:
            raise exceptions.ConversionFailed(
                f'The image is {image.status}, or has no data.'
            )
        if self._pool.status(image.image_id) is Status.ACTIVE:
            raise exceptions.CopyExists()
        return image

    def give(self, image_id: str) -> str:
        """Order a copy: from now on it is made by whoever looks.

        What failed before, or was evicted, counts no more.

        :returns: the image's id, as Glance has it
        :raises RawStoreError: as :meth:`check` does
        """
        ioctx = self._pool.ioctx
        # Even that of a copy which is there: its eviction may be going on.
        evicted.forget(ioctx, image_id)
        image = self.check(image_id)
        attempts.forget(ioctx, image.image_id)
        by_default = self._node.options.by_default
        if not by_default and wishes.PROPERTY not in image.properties:
            order = Order(time.time(), self.request_id)
            orders.give(ioctx, image.image_id, order)
        return image.image_id

    def hand_over(self, image_id: str) -> str:
        """Have an agent begin at once, unless somebody is at it.

        :returns: the task to follow
        :raises NotFound: there is no such image any more
        """
        found = [t for t in self._tasks(image_id) if t.is_open]
        now = time.time()
        for task in found:
            if now - task.updated <= workers.ORPHANED:
                return task.task_id
        task_id = found[0].task_id if found else self._open_task(image_id)
        handover.offer(self._pool.ioctx, image_id, task_id)
        return task_id

    def _tasks(self, image_id: str) -> list[CopyTask]:
        return self._node.catalog.copy_tasks(image_id)

    def _open_task(self, image_id: str) -> str:
        catalog = self._node.catalog
        image = catalog.existing(image_id)
        return catalog.create_task(
            image,
            self._node.store.name,
            Requester(None, self.request_id),
            _WAITING,
        )
