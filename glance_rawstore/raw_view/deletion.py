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
import webob.exc

from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.raw_view import routes
from glance_rawstore.raw_view.facts import Facts

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
    rows = [row for row in locations if row['status'] == 'active']
    originals = [
        row for row in rows if not raw_copy.is_url(row['url'], image_id)
    ]
    stores = [row['metadata'].get('store') for row in originals]
    return stores == [store] and len(originals) < len(rows)


class Deletions:
    """Answers requests to delete.

    :param ask: asks Glance
    :param facts: of images and copies
    """

    def __init__(
        self, ask: Callable[[webob.Request], webob.Response], facts: Facts
    ) -> None:
        self._ask = ask
        self._facts = facts

    def of_image(
        self, request: webob.Request, image_id: str
    ) -> webob.Response:
        """Glance's answer, but not a conflict that passes with us."""
        environ = dict(request.environ)

        def ask() -> webob.Response:
            # Anew, since Glance's router eats the path as it goes.
            return self._ask(webob.Request(dict(environ)))

        making = self._facts.being_made(image_id)
        answer = ask()
        if answer.status_int != _CONFLICT:
            return answer
        if not (making or self._facts.being_made(image_id)):
            return answer
        until = time.monotonic() + PATIENCE
        while self._facts.being_made(image_id):
            if time.monotonic() >= until:
                return answer
            time.sleep(_PAUSE)
        return ask()

    def from_store(
        self, request: webob.Request, image_id: str
    ) -> webob.Response:
        """Glance's answer, unless nobody could download the image then."""
        store = routes.store(request.path_info)
        image = self._facts.image(image_id)
        if image is None or not is_only_store(
            image.image_id, image.locations, store
        ):
            return self._ask(request)
        seen = request.copy_get()
        seen.path_info = f'/v2/images/{image_id}'
        if self._ask(seen).status_int != 200:
            return self._ask(request)  # none of the caller's business
        return webob.exc.HTTPForbidden(explanation=ONLY_STORE)
