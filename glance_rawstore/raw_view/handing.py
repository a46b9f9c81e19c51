# SPDX-License-Identifier: Apache-2.0
"""Hand raw copies to those who clone, and have it counted.

They ask for an image, for its locations, or for its bytes; what they are
given is what :func:`representation.chosen` decides on. Lists hand nothing
out: nobody clones from one.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import webob
import webob.exc

from glance_rawstore import exceptions
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle.shown import Answer
from glance_rawstore.raw_view import callers
from glance_rawstore.raw_view import raw_file
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view.ahead import Ahead
from glance_rawstore.raw_view.callers import Consumer
from glance_rawstore.raw_view.facts import Facts
from glance_rawstore.raw_view.facts import Seen
from glance_rawstore.raw_view.promises import Promises
from glance_rawstore.raw_view.promises import Why
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.routes import Kind

#: For who was shown a raw copy, perhaps, that is not there any more, or was
#: about to be when Ceph failed.
LOOK_AGAIN = (
    'The raw copy of image %s has gone, or cannot be reached. Ask for the '
    'image again, and for its data then.'
)


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
        self._promises = Promises(facts, self._active)

    def to(
        self, request: webob.Request, kind: Kind, image_id: str
    ) -> webob.Response:
        """Answer a request for an image, its locations or its bytes."""
        consumer = callers.consumer(request.environ)
        if kind is Kind.FILE:
            return self._file(request, image_id, consumer)
        with self._facts.begin(image_id, fresh=True) as ahead:
            self._promises.begin(image_id, consumer, ahead)
            if kind is Kind.LOCATIONS:
                return self._locations(request, image_id, consumer, ahead)
            return self._image(request, consumer, ahead)

    def _active(self, copies: Iterable[Copy]) -> list[Copy]:
        """Those to show of an image of which there may be any."""
        return representation.active(copies, self._node)

    def _image(
        self, request: webob.Request, consumer: Consumer, ahead: Ahead
    ) -> webob.Response:
        answer = self._ask(request)
        if answer.status_int != 200:
            return answer
        image = answer.json
        copies: Sequence[Copy] | None = []
        if representation.may_have_copy(
            image.get('status'), image.get('disk_format')
        ):
            seen = self._facts.seen(image, ahead)
            copies = self._shown(image['id'], seen, consumer, ahead)
        if copies is None:
            return _look_again(answer, image['id'])
        answer.json = representation.for_service(image, copies, self._node)
        return answer

    def _locations(
        self,
        request: webob.Request,
        image_id: str,
        consumer: Consumer,
        ahead: Ahead,
    ) -> webob.Response:
        answer = self._ask(request)
        if answer.status_int != 200:
            return answer
        image = self._facts.image(image_id)
        if image is None:
            # Deleted since; what it was cannot be told any more.
            answer.json = []
            return answer
        copies: Sequence[Copy] | None = []
        if _may_have_copy(image):
            seen = self._facts.seen_of(image, ahead)
            copies = self._shown(image.image_id, seen, consumer, ahead)
        if copies is None:
            return _look_again(answer, image.image_id)
        answer.json = representation.locations_for_service(
            image.status, image.disk_format, answer.json, copies, self._node
        )
        return answer

    def _shown(
        self, image_id: str, seen: Seen, consumer: Consumer, ahead: Ahead
    ) -> Sequence[Copy] | None:
        """The copies that a consumer is shown; have it counted.

        :returns: None if it must look again
        """
        answer, why = self._promises.show(image_id, seen, consumer, ahead)
        if answer is Answer.NEITHER:
            return None
        copies = seen.copies if answer is Answer.RAW else []
        self._count(image_id, seen, copies, consumer, why)
        return copies

    def _count(
        self,
        image_id: str,
        seen: Seen,
        given: Sequence[Copy],
        consumer: Consumer,
        why: Why,
    ) -> None:
        """Have it counted that somebody is given an image."""
        if given:
            raw = self._active(given)
            self._facts.used(image_id, raw, consumer.request_id)
        elif not seen.copies:
            self._facts.asked(image_id, why.evicted)

    def _file(
        self, request: webob.Request, image_id: str, consumer: Consumer
    ) -> webob.Response:
        """The bytes of what the caller was shown, if Glance gives him any."""
        image = self._facts.image(image_id)
        if image is None or not _may_have_copy(image):
            return self._ask(request)
        seen = self._facts.seen_of(image)
        which, why = self._promises.give(image.image_id, seen, consumer)
        raw = which is Answer.RAW
        answer = self._ask(_whole(request) if raw else request)
        if answer.status_int not in (200, 206):
            return answer
        copies = seen.copies if raw else []
        self._count(image.image_id, seen, copies, consumer, why)
        if raw:
            return self._replaced(request, answer, image, copies)
        if which is Answer.NEITHER:
            return _look_again(answer, image.image_id)
        self._promises.given_original(image, seen, consumer)
        return answer

    def _replaced(
        self,
        request: webob.Request,
        answer: webob.Response,
        image: Image,
        copies: Sequence[Copy],
    ) -> webob.Response:
        """The raw bytes, in the place of an original that is not read."""
        copy = self._active(copies)[0]
        window, _weight = self._facts.windows[copy.store]
        try:
            file = raw_file.RawFile.open(window.store.rbd, image.image_id)
        except exceptions.RawStoreError:
            # Gone since we looked.
            return _look_again(answer, image.image_id)
        _close(answer)
        if request.range and request.range.start < -file.size:
            request.range = None  # the last bytes, and more: all of them
        return raw_file.response(file)


def _may_have_copy(image: Image) -> bool:
    return representation.may_have_copy(image.status, image.disk_format)


def _whole(request: webob.Request) -> webob.Request:
    """The same for the whole original, which Glance does not begin to read.

    A range would be one of the original's.
    """
    asked = request.copy_get()  # a body would be read, however long it is
    for header in ('Range', 'Content-Range', 'If-Range'):
        asked.headers.pop(header, None)
    return asked


def _look_again(answer: webob.Response, image_id: str) -> Any:
    """Refuse what Glance would give; Nova and Cinder try again."""
    _close(answer)
    return webob.exc.HTTPServiceUnavailable(
        explanation=LOOK_AGAIN % image_id, headers={'Retry-After': '1'}
    )


def _close(answer: webob.Response) -> None:
    close = getattr(answer.app_iter, 'close', None)
    if close is not None:
        close()
