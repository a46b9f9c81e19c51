# SPDX-License-Identifier: Apache-2.0
"""What is asked of Ceph while Glance makes up its mind.

The path of a request names the image, so what will have to be read of its
copies is known before Glance has answered. It is begun before, and waited for
only when Glance has told of the image. Nobody waits for reads when Glance
refuses, so that its refusal says nothing, not even by the time it takes: a
tenant's requests begin the same read whatever there is. Those of services
depend on what copies there are, which services are told anyway.
"""

import dataclasses
import re
import time
from collections.abc import Collection
from typing import Self

from glance_rawstore import aio
from glance_rawstore import directory
from glance_rawstore.raw_view.notes import Begun

#: Seconds after which what was read is read again: Glance may have taken
#: long, and the copy have gone.
FRESH = 1.0

# The ids that Glance gives; a path may say anything.
_ID = re.compile('[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


def is_id(text: str) -> bool:
    """Whether an image may have that id."""
    return _ID.fullmatch(text) is not None


@dataclasses.dataclass(frozen=True)
class Look:
    """A look for the copies of one image in one raw pool, which has begun.

    :param names: internal ids of RBD images, by name
    :param rbd_id: whose header is read; empty where none is
    :param header: of that RBD image
    """

    names: aio.Underway[dict[str, str]]
    rbd_id: str = ''
    header: aio.Underway[directory.Header | None] | None = None

    def leave(self) -> None:
        """Not wait for it."""
        aio.leave(self.names)
        if self.header is not None:
            aio.leave(self.header)


class Ahead:
    """All that was begun for one request; a context, after which it is left.

    :param image_id: as the request names it

    :ivar looks: for copies, by store
    :ivar note: of the consumer
    """

    def __init__(self, image_id: str) -> None:
        self._image_id = image_id
        self._begun = time.monotonic()
        self.looks: dict[str, Look] = {}
        self.note: Begun | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        for look in self.looks.values():
            look.leave()
        if self.note is not None:
            aio.leave(self.note)

    def look(self, store: str, image_ids: Collection[str]) -> Look | None:
        """What was begun in a store; not if it is old, or of other images."""
        if self._fresh and list(image_ids) == [self._image_id]:
            return self.looks.get(store)
        return None

    def noted(self, image_id: str) -> Begun | None:
        """What is noted; not if that is old, or of another image."""
        same = self._fresh and image_id == self._image_id
        return self.note if same else None

    @property
    def _fresh(self) -> bool:
        return time.monotonic() - self._begun < FRESH
