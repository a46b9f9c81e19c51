# SPDX-License-Identifier: Apache-2.0
"""Lists of images for services, whose filters go by what is shown.

Glance filters and pages by originals. A filter on an attribute that the raw
view changes is therefore kept from Glance and applied to what is shown. The
order stays Glance's, also where it sorts by such an attribute.

Where few images pass, no answer looks for them among more images than are on
Glance's longest page once it has one: it is shorter then than was asked for,
as Glance's own pages are where policies hide images, and its ``next`` goes on
from the last image looked at. Only an answer without any image looks on, up
to the last one, since clients take an empty page for the end (openstacksdk
4.22).
"""

import urllib.parse
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

Query = list[tuple[str, str]]
Page = dict[str, Any]

_EQUAL = frozenset(
    {
        'disk_format',
        'container_format',
        'checksum',
        'os_hash_algo',
        'os_hash_value',
    }
)
_SIZES = frozenset({'size_min', 'size_max'})
_NUMBERS = _SIZES | {'limit'}
#: Digits of a number; Python reads 4300 at most.
_DIGITS = 4000
#: Attributes by which a service's list cannot be left to Glance.
REWRITTEN = _EQUAL | _SIZES

_PATH = '/v2/images'


def needed(query: Query) -> bool:
    """Whether a list asks for what only the shown images can tell.

    What is not a number where one belongs is left to Glance to refuse.
    """
    numbers = [value for name, value in query if name in _NUMBERS]
    if not all(v.isdecimal() and len(v) <= _DIGITS for v in numbers):
        return False
    return any(name in REWRITTEN for name, _value in query)


def parse(query: str) -> Query:
    """The parameters of a query string, in their order."""
    return urllib.parse.parse_qsl(query, keep_blank_values=True)


def collect(
    query: Query, limit: int, most: int, ask: Callable[[str], Page]
) -> Page:
    """Make one page from as many of Glance's as it takes.

    :param limit: images on a page
    :param most: images on Glance's longest page
    :param ask: gives Glance's page for a query string, its images as they
        are shown to the caller
    """
    wanted = [(name, v) for name, v in query if name in REWRITTEN]
    images: list[Any] = []
    marker = None
    for page, looked_at in _glances(query, limit, most, ask):
        images += [image for image in page['images'] if shows(image, wanted)]
        enough = len(images) == limit or (images and looked_at >= most)
        if len(images) > limit:
            images = images[:limit]
            marker = images[-1]['id']
        elif enough and 'next' in page:
            marker = _marker(page['next'])
        if marker is not None:
            break
    return _page(page, images, query, marker)


def _glances(
    query: Query, limit: int, most: int, ask: Callable[[str], Page]
) -> Iterator[tuple[Page, int]]:
    """Glance's pages, each up to twice as long as the last, to the end.

    :returns: each, and how many images Glance has looked at by then
    """
    kept = [(n, v) for n, v in query if n not in (*REWRITTEN, 'limit')]
    size, looked_at = limit, 0
    while True:
        page = ask(urllib.parse.urlencode([*kept, ('limit', str(size))]))
        looked_at += size
        yield page, looked_at
        if 'next' not in page:
            return
        marker = ('marker', str(_marker(page['next'])))
        kept = [pair for pair in kept if pair[0] != 'marker'] + [marker]
        size = min(2 * size, most)


def _marker(link: str) -> str | None:
    return dict(parse(urllib.parse.urlsplit(link).query)).get('marker')


def _page(
    last: Page, images: list[Any], query: Query, marker: str | None
) -> Page:
    first = [(name, value) for name, value in query if name != 'marker']
    page = {key: v for key, v in last.items() if key not in ('first', 'next')}
    page.update(images=images, first=_link(first))
    if marker is not None:
        page['next'] = _link([*first, ('marker', marker)])
    return page


def _link(query: Query) -> str:
    encoded = urllib.parse.urlencode(query)
    return f'{_PATH}?{encoded}' if encoded else _PATH


def shows(image: Mapping[str, Any], wanted: Sequence[tuple[str, str]]) -> bool:
    """Whether an image, as it is shown, passes these filters."""
    return all(_passes(image, name, value) for name, value in wanted)


def _passes(image: Mapping[str, Any], name: str, value: str) -> bool:
    if name in _EQUAL:
        return image.get(name) in _values(value)
    size = image.get('size')
    if size is None:
        return False
    bound = int(value)
    return bool(size >= bound if name == 'size_min' else size <= bound)


def _values(value: str) -> list[str]:
    """Those that a filter lets pass, by Glance's operators ``in`` and ``eq``.

    Quotes around a value mean nothing, as none of these has a comma in it.
    """
    if value.startswith('in:'):
        values = value.removeprefix('in:').split(',')
        return [found.strip('"') for found in values]
    return [value.removeprefix('eq:')]
