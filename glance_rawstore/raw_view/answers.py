# SPDX-License-Identifier: Apache-2.0
"""The answers of the raw view, made from those that Glance gives."""

import json
import socket
from collections.abc import Callable, Iterable
from typing import Any

import webob
import webob.exc
from oslo_config import cfg

from glance_rawstore import exceptions
from glance_rawstore.raw_view import listing
from glance_rawstore.raw_view import raw_file
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view import writes
from glance_rawstore.raw_view.callers import Audience
from glance_rawstore.raw_view.deletion import Deletions
from glance_rawstore.raw_view.facts import Facts
from glance_rawstore.raw_view.representation import Copy
from glance_rawstore.raw_view.routes import Kind

#: A WSGI application.
App = Callable[..., Iterable[bytes]]


class Answers:
    """Answers requests of each kind.

    :param app: Glance, behind the filter
    :param conf: Glance's own configuration
    """

    def __init__(self, app: App, conf: cfg.ConfigOpts) -> None:
        self._app = app
        self._conf = conf
        self._facts = Facts(conf)
        self._node = socket.gethostname()
        self._deletions = Deletions(self._ask, self._facts)

    def to(
        self,
        request: webob.Request,
        kind: Kind,
        image_id: str,
        audience: Audience,
    ) -> webob.Response:
        """Answer a request of one kind."""
        cloning = audience is Audience.CLONING
        if kind in (Kind.CREATE, Kind.UPDATE):
            return self._write(request, audience)
        if kind is Kind.IMAGE:
            return self._image(request, image_id, audience)
        if kind is Kind.LIST:
            return self._list(request, audience)
        if kind is Kind.LOCATIONS and cloning:
            return self._locations(request, image_id)
        if kind is Kind.FILE and cloning:
            return self._file(request, image_id)
        if kind is Kind.DELETE:
            return self._deletions.of_image(request, image_id)
        if kind is Kind.STORE_DELETE:
            return self._deletions.from_store(request, image_id)
        return self._ask(request)

    def _ask(self, request: webob.Request) -> webob.Response:
        """Glance's own answer; its body is read when it is needed."""
        return request.get_response(self._app)

    # Images

    def _image(
        self, request: webob.Request, image_id: str, audience: Audience
    ) -> webob.Response:
        """One image; a tenant's copies are asked for while Glance works.

        A service needs a second read, which would have to wake the threads
        of librados and of the OSD again: two in turn take no longer.
        """
        if audience is not Audience.TENANT:
            return self._shown(self._ask(request), audience)
        with self._facts.looking(image_id) as look:
            answer = self._ask(request)
            found = look()
        if answer.status_int == 200:
            image = answer.json
            # MySQL finds an id in any case of its letters.
            known = found if image['id'] in found else None
            answer.json = self._views([image], audience, known)[0]
        return answer

    def _views(
        self,
        images: list[dict[str, Any]],
        audience: Audience,
        found: dict[str, list[Copy]] | None = None,
    ) -> list[representation.ImageView]:
        """Images as this audience is shown them.

        :param found: their copies, if these were looked up already
        """
        if audience is Audience.SERVICE:
            return [representation.plain(image) for image in images]
        tenant = audience is Audience.TENANT
        if found is None:
            found = self._facts.look([i['id'] for i in images], trash=tenant)
        copies = self._facts.weighed(images, found)
        if not tenant:
            return [
                representation.for_service(i, copies[i['id']], self._node)
                for i in images
            ]
        stands = self._facts.wishes(i for i in images if not copies[i['id']])
        return [
            representation.for_tenant(
                i,
                copies[i['id']],
                stands.get(i['id'], representation.Wish.NONE),
            )
            for i in images
        ]

    def _shown(
        self, answer: webob.Response, audience: Audience
    ) -> webob.Response:
        """Glance's answer that is one image, changed for its audience."""
        if answer.status_int in (200, 201):
            answer.json = self._views([answer.json], audience)[0]
        return answer

    def _write(
        self, request: webob.Request, audience: Audience
    ) -> webob.Response:
        """A create or an update; our properties are not for writing."""
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            return self._ask(request)  # for Glance to refuse
        if names := writes.ours(body):
            if audience is Audience.TENANT:
                return webob.exc.HTTPForbidden(
                    explanation=f'Attribute {min(names)} is read-only.'
                )
            request.body = json.dumps(writes.without_ours(body)).encode()
        return self._shown(self._ask(request), audience)

    def _list(
        self, request: webob.Request, audience: Audience
    ) -> webob.Response:
        query = listing.parse(request.query_string)
        if audience is Audience.CLONING and listing.needed(query):
            return self._filtered_list(request, query)
        answer = self._ask(request)
        if answer.status_int == 200:
            page = answer.json
            page['images'] = self._views(page['images'], audience)
            answer.json = page
        return answer

    def _filtered_list(
        self, request: webob.Request, query: listing.Query
    ) -> webob.Response:
        """A page of images that pass the filters as they are shown."""

        def ask(query_string: str) -> listing.Page:
            asked = request.copy()
            asked.query_string = query_string
            answer = self._ask(asked)
            if answer.status_int != 200:
                raise _Refused(answer)
            page: listing.Page = answer.json
            page['images'] = self._views(page['images'], Audience.CLONING)
            return page

        try:
            page = listing.collect(query, self._limit(query), self._most, ask)
        except _Refused as exc:
            return exc.answer
        return webob.Response(json=page, content_type='application/json')

    def _limit(self, query: listing.Query) -> int:
        """Images on a page, by Glance's rules."""
        value = dict(query).get('limit', '')
        asked = int(value or self._conf.limit_param_default)
        return min(asked, self._most)

    @property
    def _most(self) -> int:
        """Images on Glance's longest page."""
        return int(self._conf.api_limit_max)

    # Locations and bytes

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
        answer.json = representation.locations_for_service(
            image.status,
            image.disk_format,
            answer.json,
            self._facts.copies_of(image),
            self._node,
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
        raw = representation.chosen(
            image.status,
            image.disk_format,
            self._facts.copies_of(image),
            self._node,
        )
        if not raw:
            return self._ask(request)
        answer = self._ask(asked)
        if answer.status_int != 200:
            return answer
        return self._replaced(request, answer, raw[0], image.image_id)

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


class _Refused(Exception):
    """Glance has not given a list."""

    def __init__(self, answer: webob.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer


def _close(answer: webob.Response) -> None:
    close = getattr(answer.app_iter, 'close', None)
    if close is not None:
        close()
