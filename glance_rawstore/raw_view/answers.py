# SPDX-License-Identifier: Apache-2.0
"""The answers of the raw view, made from those that Glance gives."""

import json
import socket
from collections.abc import Callable, Iterable
from typing import Any

import webob
import webob.exc
from oslo_config import cfg

from glance_rawstore.raw_view import listing
from glance_rawstore.raw_view import representation
from glance_rawstore.raw_view import writes
from glance_rawstore.raw_view.ahead import Ahead
from glance_rawstore.raw_view.callers import Audience
from glance_rawstore.raw_view.deletion import Deletions
from glance_rawstore.raw_view.facts import Facts
from glance_rawstore.raw_view.handing import Handing
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
        self._handing = Handing(self._ask, self._facts, self._node)
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
        if cloning and kind in (Kind.IMAGE, Kind.LOCATIONS, Kind.FILE):
            return self._handing.to(request, kind, image_id)
        if kind is Kind.IMAGE:
            return self._image(request, image_id, audience)
        if kind is Kind.LIST:
            return self._list(request, audience)
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
        if audience is Audience.SERVICE:
            return self._shown(self._ask(request), audience)
        with self._facts.begin(image_id, fresh=False) as ahead:
            return self._shown(self._ask(request), audience, ahead)

    def _views(
        self,
        images: list[dict[str, Any]],
        audience: Audience,
        ahead: Ahead | None = None,
    ) -> list[representation.ImageView]:
        """Images as this audience is shown them."""
        if audience is Audience.SERVICE:
            return [representation.plain(image) for image in images]
        tenant = audience is Audience.TENANT
        copies = self._facts.copies(images, tenant, ahead)
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
        self,
        answer: webob.Response,
        audience: Audience,
        ahead: Ahead | None = None,
    ) -> webob.Response:
        """Glance's answer that is one image, changed for its audience."""
        if answer.status_int in (200, 201):
            answer.json = self._views([answer.json], audience, ahead)[0]
        return answer

    def _write(
        self, request: webob.Request, audience: Audience
    ) -> webob.Response:
        """A create or an update; our properties are not for writing."""
        if 'Transfer-Encoding' in request.headers:
            # Without a length; Glance reads it (JSONRequestDeserializer).
            request.is_body_readable = True
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
            asked = request.copy_get()
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


class _Refused(Exception):
    """Glance has not given a list."""

    def __init__(self, answer: webob.Response) -> None:
        super().__init__(answer.status)
        self.answer = answer
