# SPDX-License-Identifier: Apache-2.0
"""Copies that an operator has ordered of images that do not wish for one.

One object in the raw pool, :data:`OBJECT`, with an entry for each image in
its omap: from the order on until the copy is there. As a wish, it is given up
after some failures until the image is changed; another order tries again. A
copy that was ordered stays until somebody deletes or evicts it.
"""

import dataclasses
import json
import logging
from typing import Any

from glance_rawstore import omap

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.orders'

_TABLE = omap.Table(OBJECT)


@dataclasses.dataclass(frozen=True)
class Order:
    """An order.

    :param at: when it was given, in seconds since the epoch
    :param request_id: by which log lines and the task name it
    """

    at: float
    request_id: str


def give(ioctx: Any, image_id: str, order: Order) -> None:
    """Order the copy of an image.

    :raises NoSpace: the pool is full, and this would be its first entry
    :raises CephUnavailable: the cluster does not answer
    """
    value = json.dumps(dataclasses.asdict(order))
    _TABLE.write(ioctx, image_id, value.encode())


def forget(ioctx: Any, image_id: str) -> None:
    """Remove the order of an image; accepts "already gone".

    :raises CephUnavailable: the cluster does not answer
    """
    _TABLE.remove(ioctx, image_id)


def read(ioctx: Any, image_id: str) -> Order | None:
    """The order of an image's copy, or None.

    :raises CephUnavailable: the cluster does not answer
    """
    found = _TABLE.read(ioctx, (image_id,)).get(image_id)
    return None if found is None else _decoded(found)


def read_all(ioctx: Any) -> dict[str, Order]:
    """All orders, by image.

    :raises CephUnavailable: the cluster does not answer
    """
    found = _TABLE.read_all(ioctx)
    return {image_id: _decoded(value) for image_id, value in found.items()}


def _decoded(value: bytes) -> Order:
    """An entry; one that cannot be read is an order all the same."""
    try:
        found = json.loads(value)
        return Order(float(found['at']), str(found['request_id']))
    except (ValueError, KeyError, TypeError) as exc:
        LOG.warning('An order cannot be read: %s', exc)
        return Order(0.0, '')
