# SPDX-License-Identifier: Apache-2.0
"""Take copies away because an operator says so."""

import time

from glance_rawstore import attempts
from glance_rawstore import budget
from glance_rawstore import evicted
from glance_rawstore import evicting
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import lease
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import wishes
from glance_rawstore.agent.node import Node
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle.events import Event
from glance_rawstore.lifecycle.evicted import OPERATOR
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.raw_copy import RawCopy
from glance_rawstore.lifecycle.states import Status

_WITHDRAWN = 'The raw copy is not wanted any more: an operator has said so.'


class Removing:
    """Evict and delete.

    :param node: what to work with
    :param pool: its open raw pool
    """

    def __init__(self, node: Node, pool: raw_pool.RawPool) -> None:
        self._node = node
        self._pool = pool

    def copy(self, image_id: str) -> RawCopy:
        """The copy of an image, active or pending.

        :raises NotFound: there is none, or only what waits in the trash
        """
        for found in inventory.of_image(self._pool, image_id):
            if found.status is not Status.PENDING_DELETE:
                return found
        raise exceptions.NotFound('The image has no raw copy.')

    def known(self, image_id: str) -> bool:
        """Whether there is such an image."""
        return self._node.catalog.image(image_id) is not None

    def wished_for(self, image_id: str) -> bool:
        """Whether an agent would make the copy again."""
        image = self._node.catalog.image(image_id)
        return image is not None and self._wished_for(image)

    def _wished_for(self, image: Image) -> bool:
        enabled = self._node.options.by_default
        default = wishes.by_default(
            enabled, image.disk_format, image.container_format
        )
        return wishes.mentioned(image.properties, default)

    def check_evictable(self, image_id: str, force: bool) -> RawCopy:
        """The copy, if it may be evicted.

        :param force: though it is protected, or clones need it
        :raises NotFound: there is no active copy
        :raises Refused: it is protected, or evicting it would free nothing
        """
        copy = self.copy(image_id)
        if copy.status is not Status.ACTIVE:
            raise exceptions.NotFound('The image has no active raw copy.')
        if force:
            return copy
        if lease.held(self._pool.ioctx, copy.rbd_id):
            raise exceptions.Refused('Who made it has not let go of it yet.')
        if copy.children != ():
            raise exceptions.Refused(
                f'Clones need it ({copy.clones}): evicting it would free '
                'nothing.'
            )
        image = self._node.catalog.image(image_id)
        if image is not None and wishes.protected(image.properties):
            raise exceptions.Refused('It is protected.')
        return copy

    def evict(self, image_id: str, force: bool) -> bool:
        """Take a copy away; a consumer, or an operator, brings it back.

        :returns: whether it is gone; else it waits in the trash for its
            last clone
        :raises RawStoreError: as :meth:`check_evictable`
        """
        copy = self.check_evictable(image_id, force)
        ioctx, used = self._pool.ioctx, copy.bytes_used or 0
        note = Evicted(time.time(), OPERATOR, used, copy.rbd_id)
        try:
            evicted.note(ioctx, image_id, note)
        except exceptions.NoSpace:
            # A full pool has no room for a first note, but soon it has.
            gone = self._take(image_id, note)
            evicted.note(ioctx, image_id, note)
            return gone
        return self._take(image_id, note)

    def _take(self, image_id: str, eviction: Evicted) -> bool:
        orders.forget(self._pool.ioctx, image_id)
        catalog, store = self._node.catalog, self._node.store.name
        return evicting.take(catalog, self._pool, store, image_id, eviction)

    def delete(self, image_id: str, unset: bool) -> bool:
        """Delete the copy, or stop its being made, and forget all about it.

        :param unset: take the wish off the image as well, so that no agent
            makes it again
        :returns: as :meth:`evict`
        :raises NotFound: there is no copy
        """
        copy = self.copy(image_id)
        self.withdraw(image_id, unset)
        catalog = self._node.catalog
        catalog.remove_location(image_id, self._pool.url(image_id))
        gone = self._pool.delete(image_id)
        if gone:
            budget.release(self._pool.ioctx, copy.rbd_id)
        catalog.tell(
            Event.DELETE, image_id, self._node.store.name, in_use=not gone
        )
        return gone

    def ordered(self, image_id: str) -> bool:
        """Whether an operator has ordered a copy that is not there yet."""
        return orders.read(self._pool.ioctx, image_id) is not None

    def withdraw(self, image_id: str, unset: bool) -> None:
        """Forget what is noted of an image: order, attempts, eviction.

        :param unset: as for :meth:`delete`
        """
        ioctx = self._pool.ioctx
        if unset:
            self._unset(image_id)
        for forget in (orders.forget, attempts.forget, evicted.forget):
            forget(ioctx, image_id)
        if self.wished_for(image_id):
            return
        task_id = handover.offered(ioctx, image_id)
        handover.take(ioctx, image_id)
        if task_id:
            self._node.catalog.fail_task(task_id, _WITHDRAWN)

    def _unset(self, image_id: str) -> None:
        """Have the image wish for no copy."""
        catalog = self._node.catalog
        if self.wished_for(image_id):
            catalog.unset_property(image_id, wishes.PROPERTY)
        if self.wished_for(image_id):  # by default
            catalog.set_property(image_id, wishes.PROPERTY, 'false')
