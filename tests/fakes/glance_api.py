# SPDX-License-Identifier: Apache-2.0
"""Glance's Images API over a catalog in memory, as far as the raw view asks.

It pages, filters and refuses as glance 33 does, and moves the path along in
the environment as its router does; tests/functional holds the raw view to a
real one.
"""

import hashlib
import json
import urllib.parse
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import webob
import webob.exc
from webob.byterange import ContentRange

from glance_rawstore.catalog import Image
from tests.fakes.catalog import FakeCatalog

SCHEMA = '/v2/schemas/image'
PATCHES = {
    'application/openstack-images-v2.0-json-patch': 4,
    'application/openstack-images-v2.1-json-patch': 10,
}


class Original:
    """An original on its way to a client."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.read = 0
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        for at in range(0, len(self._data), 1000):
            chunk = self._data[at : at + 1000]
            self.read += len(chunk)
            yield chunk

    def close(self) -> None:
        self.closed = True


class GlanceAPI:
    """The WSGI application.

    :ivar hidden: ids of images that the caller may not see
    :ivar no_download: ids of images that the caller may not download
    :ivar in_use: ids of images whose originals somebody has open
    :ivar shows_locations: ``show_multiple_locations``, and the direct URL
    :ivar asked: method, path and query of every request, as it came
    :ivar originals: those that were opened for a client
    :ivar after: called when an answer is ready; may change things
    """

    def __init__(self, catalog: FakeCatalog, largest: int = 1000) -> None:
        self.catalog = catalog
        self.largest = largest
        self.hidden: set[str] = set()
        self.no_download: set[str] = set()
        self.in_use: set[str] = set()
        self.shows_locations = True
        self.asked: list[str] = []
        self.originals: list[Original] = []
        self.after = lambda: None

    def __call__(
        self, environ: dict[str, Any], start_response: Any
    ) -> Iterable[bytes]:
        request = webob.Request(environ)
        self.asked.append(f'{request.method} {request.path_qs}')
        try:
            answer = self._route(request)
        except webob.exc.HTTPException as exc:
            answer = exc
        self.after()
        result: Iterable[bytes] = answer(environ, start_response)
        return result

    def _route(self, request: webob.Request) -> Any:
        parts = []
        while request.path_info_peek() is not None:
            parts.append(request.path_info_pop())
        match [request.method, *parts]:
            case ['GET', 'v2', 'images']:
                return self._list(request)
            case ['POST', 'v2', 'images']:
                return self._create(request)
            case ['GET', 'v2', 'images', image_id]:
                return self._json(self.shown(self._find(image_id)))
            case ['PATCH', 'v2', 'images', image_id]:
                return self._update(request, self._find(image_id))
            case ['DELETE', 'v2', 'images', image_id]:
                return self._delete(self._find(image_id))
            case ['GET', 'v2', 'images', image_id, 'locations']:
                return self._json(self._locations(self._find(image_id)))
            case ['GET', 'v2', 'images', image_id, 'file']:
                return self._file(request, self._find(image_id))
        raise webob.exc.HTTPMethodNotAllowed()

    def _json(self, body: Any, status: int = 200) -> webob.Response:
        return webob.Response(
            json.dumps(body).encode(),
            status=status,
            content_type='application/json',
            charset='UTF-8',
        )

    def _find(self, image_id: str) -> Image:
        if image_id not in self.catalog.images or image_id in self.hidden:
            raise webob.exc.HTTPNotFound(f'No image found with ID {image_id}')
        return self.catalog.images[image_id]

    def shown(self, image: Image) -> dict[str, Any]:
        """An image as Glance shows it."""
        data = self.catalog.bytes.get(image.image_id, b'')
        shown: dict[str, Any] = {
            'id': image.image_id,
            'status': image.status,
            'disk_format': image.disk_format,
            'container_format': image.container_format,
            'size': image.size,
            'virtual_size': image.virtual_size,
            'owner': image.owner,
            'checksum': hashlib.md5(data).hexdigest(),
            'os_hash_algo': 'sha512',
            'os_hash_value': hashlib.sha512(data).hexdigest(),
            'schema': SCHEMA,
            **image.properties,
        }
        if self.shows_locations:
            shown['locations'] = self._locations(image)
            if image.locations:
                shown['direct_url'] = image.locations[0]['url']
        return shown

    def _locations(self, image: Image) -> list[Any]:
        names = ('url', 'metadata')
        return [{name: row[name] for name in names} for row in image.locations]

    def _list(self, request: webob.Request) -> webob.Response:
        query = request.params.copy()
        marker = query.pop('marker', None)
        try:
            limit = min(int(query.pop('limit', 25)), self.largest)
        except ValueError as exc:
            raise webob.exc.HTTPBadRequest(
                'limit param must be an integer'
            ) from exc
        ids = [i for i in self.catalog.images if i not in self.hidden]
        if marker is not None:
            self._find(marker)
            ids = ids[ids.index(marker) + 1 :]
        wanted = dict(query)
        every = [self.shown(self.catalog.images[i]) for i in ids]
        found = [i for i in every if wanted.items() <= i.items()][:limit]
        page: dict[str, Any] = {'images': found, 'schema': f'{SCHEMA}s'}
        again = [(k, v) for k, v in request.params.items() if k != 'marker']
        page['first'] = '/v2/images?' + urllib.parse.urlencode(again)
        if found and len(found) == limit:
            again.append(('marker', found[-1]['id']))
            page['next'] = '/v2/images?' + urllib.parse.urlencode(again)
        return self._json(page)

    def _body(self, request: webob.Request) -> Any:
        try:
            return json.loads(request.body.decode())
        except ValueError as exc:
            raise webob.exc.HTTPBadRequest('Malformed JSON.') from exc
        except RecursionError as exc:
            raise webob.exc.HTTPInternalServerError() from exc

    def _create(self, request: webob.Request) -> webob.Response:
        body = self._body(request)
        image_id = str(uuid.uuid4())
        base = {name: body.pop(name, None) for name in ('disk_format', 'name')}
        self.catalog.add(
            image_id,
            b'',
            status='queued',
            disk_format=base['disk_format'],
            properties=body,
            locations=(),
        )
        answer = self._json(self.shown(self.catalog.images[image_id]), 201)
        answer.location = f'/v2/images/{image_id}'
        return answer

    def _update(self, request: webob.Request, image: Image) -> webob.Response:
        if request.content_type not in PATCHES:
            raise webob.exc.HTTPUnsupportedMediaType()
        properties = dict(image.properties)
        for change in self._body(request):
            op, path = change.get('op'), change.get('path')
            if PATCHES[request.content_type] == 4:
                ops = ('add', 'replace', 'remove')
                op = next(op for op in ops if op in change)
                path = change[op]
            name = path.lstrip('/').strip()
            name = name.replace('~1', '/').replace('~0', '~')
            if op == 'remove':
                del properties[name]
            else:
                properties[name] = change['value']
        self.catalog.change(image.image_id, properties=properties)
        return self._json(self.shown(self.catalog.images[image.image_id]))

    def _delete(self, image: Image) -> webob.Response:
        if image.image_id in self.in_use:
            raise webob.exc.HTTPConflict('Image is in use.')
        self.catalog.delete(image.image_id)
        return webob.Response(status=204)

    def _file(self, request: webob.Request, image: Image) -> webob.Response:
        if image.status == 'deactivated' or image.image_id in self.no_download:
            raise webob.exc.HTTPForbidden()
        data = self.catalog.bytes[image.image_id]
        if not data:
            return webob.Response(status=204)
        status, found = 200, None
        if request.range is not None:
            found = request.range.content_range(len(data))
            if found is None:
                raise webob.exc.HTTPRequestRangeNotSatisfiable(
                    headers=[('Content-Range', f'bytes */{len(data)}')]
                )
            status, data = 206, data[found.start : found.stop]
        original = Original(data)
        self.originals.append(original)
        answer = webob.Response(
            status=status,
            app_iter=original,
            content_type='application/octet-stream',
        )
        answer.content_length = len(data)
        if found is not None:
            answer.content_range = ContentRange(*found)
        answer.content_md5 = hashlib.md5(data).hexdigest()
        return answer
