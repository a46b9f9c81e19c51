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

from glance_rawstore import omap

LOG = logging.getLogger(__name__)

#: Name of the object.
OBJECT = 'glance_rawstore.orders'


@dataclasses.dataclass(frozen=True)
class Order:
    """An order.

    :param at: when it was given, in seconds since the epoch
    :param request_id: by which log lines and the task name it
    """

    at: float
    request_id: str


def _encode(order: Order) -> bytes:
    return json.dumps(dataclasses.asdict(order)).encode()


def _decode(value: bytes) -> Order:
    """An entry; one that cannot be read is an order all the same."""
    try:
        found = json.loads(value)
        return Order(float(found['at']), str(found['request_id']))
    except (ValueError, KeyError, TypeError) as exc:
        LOG.warning('An order cannot be read: %s', exc)
        return Order(0.0, '')


_ENTRIES = omap.Entries(OBJECT, _encode, _decode)

give = _ENTRIES.write
read = _ENTRIES.read
read_all = _ENTRIES.read_all
forget = _ENTRIES.remove
