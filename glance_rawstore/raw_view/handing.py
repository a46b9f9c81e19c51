# SPDX-License-Identifier: Apache-2.0
"""Hand raw copies to those who clone, and have it counted.

They ask for an image, for its locations, or for its bytes; what they are
given is what :func:`representation.chosen` decides on. Lists hand nothing
out: nobody clones from one.
"""

from collections.abc import Callable, Sequence

import webob

from glance_rawstore import exceptions
from glance_rawstore.catalog import Image
from glance_rawstore.raw_view import raw_file
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view.facts import Facts
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.routes import Kind

#: By which Nova and Cinder are known in all calls for one server or volume:
#: the id of the request that their own user made (``global_request_id``).
_CONSUMER = 'X-OpenStack-Request-ID'
#: Characters of it that are looked at.
_LENGTH = 64


class Handing:
    """Answers those who clone.

    :param ask: asks Glance
    :param facts: of images and copies
    :param node: name of this node, for its own weights
    """

    def __init__(
        self,
        ask: Callable[[webob.Request], webob.Response],
        facts: Facts,
        node: str,
    ) -> None:
        self._ask = ask
        self._facts = facts
        self._node = node

    def to(
        self, request: webob.Request, kind: Kind, image_id: str
    ) -> webob.Response:
        """Answer a request for an image, its locations or its bytes."""
        if kind is Kind.IMAGE:
            return self._image(request)
        if kind is Kind.LOCATIONS:
            return self._locations(request, image_id)
        return self._file(request, image_id)

    def _image(self, request: webob.Request) -> webob.Response:
        answer = self._ask(request)
        if answer.status_int != 200:
            return answer
        image = answer.json
        copies = self._facts.for_consumer(
            image['id'],
            self._facts.copies([image])[image['id']],
            _consumer(request),
        )
        shown = image.get('status'), image.get('disk_format')
        self._note(request, image['id'], shown, copies)
        answer.json = representation.for_service(image, copies, self._node)
        return answer

    def _locations(
        self, request: webob.Request, image_id: str
    ) -> webob.Response:
        answer = self._ask(request)
        if answer.status_int != 200:
            return answer
        image = self._facts.image(image_id)
        if image is None:
            # Deleted since; what it was cannot be told any more.
            answer.json = []
            return answer
        copies = self._copies(request, image)
        shown = image.status, image.disk_format
        self._note(request, image.image_id, shown, copies)
        answer.json = representation.locations_for_service(
            *shown, answer.json, copies, self._node
        )
        return answer

    def _file(self, request: webob.Request, image_id: str) -> webob.Response:
        """The raw bytes, to a caller whom Glance would give the original.

        Glance is asked for the whole original, which it does not begin to
        read; a range would be one of the original's.
        """
        asked = request.copy()
        for header in ('Range', 'Content-Range', 'If-Range'):
            asked.headers.pop(header, None)
        image = self._facts.image(image_id)
        if image is None:
            return self._ask(request)
        copies = self._copies(request, image)
        shown = image.status, image.disk_format
        raw = representation.chosen(*shown, copies, self._node)
        answer = self._ask(asked if raw else request)
        if answer.status_int in (200, 206):
            self._note(request, image.image_id, shown, copies)
            if not raw:
                self._facts.downloading(image, _consumer(request))
        if not raw or answer.status_int != 200:
            return answer
        return self._replaced(request, answer, raw[0], image.image_id)

    def _copies(self, request: webob.Request, image: Image) -> list[Copy]:
        return self._facts.for_consumer(
            image.image_id, self._facts.copies_of(image), _consumer(request)
        )

    def _note(
        self,
        request: webob.Request,
        image_id: str,
        shown: tuple[str | None, str | None],
        copies: Sequence[Copy],
    ) -> None:
        """Have it counted that somebody is given an image.

        :param shown: its status and disk format
        """
        if raw := representation.chosen(*shown, copies, self._node):
            self._facts.used(image_id, raw, _consumer(request))
        elif not copies and representation.may_have_copy(*shown):
            self._facts.asked(image_id)

    def _replaced(
        self,
        request: webob.Request,
        answer: webob.Response,
        copy: Copy,
        image_id: str,
    ) -> webob.Response:
        window, _weight = self._facts.windows[copy.store]
        try:
            file = raw_file.RawFile.open(window.store.rbd, image_id)
        except exceptions.RawStoreError:
            # Gone since we looked: the original, as asked for.
            _close(answer)
            return self._ask(request)
        _close(answer)
        if request.range and request.range.start < -file.size:
            request.range = None  # the last bytes, and more: all of them
        return raw_file.response(file)


def _consumer(request: webob.Request) -> str:
    return str(request.headers.get(_CONSUMER, ''))[:_LENGTH]


def _close(answer: webob.Response) -> None:
    close = getattr(answer.app_iter, 'close', None)
    if close is not None:
        close()
