# SPDX-License-Identifier: Apache-2.0
"""Deletions that a raw copy has to do with.

Of an image whose original is being read for its copy: Glance's rbd driver
can't remove an image that qemu-img has open. It takes the snapshot away, fails
at the rest, and Glance answers 409. The conversion then ends by itself, and
mends the original within seconds (see :mod:`glance_rawstore.tasks.originals`),
so that the next deletion succeeds. It is asked for here, in the place of the
user: nobody but us is the reason.

Of an original from its only store: Glance refuses to remove an image's last
location, and takes the copy for another one. But a copy cannot be downloaded.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import webob

from glance_rawstore.lifecycle import raw_copy

#: Seconds until a conversion that goes on is taken not to be the reason;
#: its end was seen to take 3.
PATIENCE = 15.0

#: Seconds between two looks.
_PAUSE = 0.25

_CONFLICT = 409

#: In Glance's own words, as far as they fit (``delete_from_store`` in
#: glance/api/v2/images.py).
ONLY_STORE = (
    'Cannot delete image data from the only store containing it. The raw '
    'copy that would be left cannot be downloaded. Consider deleting the '
    'image instead.'
)


def is_only_store(
    image_id: str, locations: Iterable[Mapping[str, Any]], store: str
) -> bool:
    """Whether all that an image would have without a store is a raw copy.

    :param locations: the image's rows
    """
    copy = f'/{raw_copy.name(image_id)}/{raw_copy.SNAPSHOT}'
    rows = [row for row in locations if row['status'] == 'active']
    originals = [row for row in rows if not row['url'].endswith(copy)]
    stores = [row['metadata'].get('store') for row in originals]
    return stores == [store] and len(originals) < len(rows)


def delete(
    ask: Callable[[], webob.Response], being_made: Callable[[], bool]
) -> webob.Response:
    """Glance's answer to a deletion; not a conflict that passes with us.

    :param ask: asks Glance, which may be done again
    :param being_made: whether a worker makes a copy of the image now
    """
    making = being_made()
    answer = ask()
    if answer.status_int != _CONFLICT or not (making or being_made()):
        return answer
    until = time.monotonic() + PATIENCE
    while being_made():
        if time.monotonic() >= until:
            return answer
        time.sleep(_PAUSE)
    return ask()
