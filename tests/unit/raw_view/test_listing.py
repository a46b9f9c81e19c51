# SPDX-License-Identifier: Apache-2.0
"""Lists whose filters go by what is shown."""

import urllib.parse

import hypothesis
import pytest
from hypothesis import strategies as st

from glance_rawstore.raw_view import listing


class Glance:
    """Pages of images, as Glance gives them by marker and limit.

    :param images: in Glance's order, as they are shown to the caller
    :param largest: ``api_limit_max``
    :ivar asked: every query string so far
    """

    def __init__(self, images, largest=1000):
        self.images = images
        self.largest = largest
        self.asked = []

    def limit(self, query):
        return min(int(dict(query).get('limit', 25)), self.largest)

    def __call__(self, query_string):
        self.asked.append(query_string)
        query = urllib.parse.parse_qsl(query_string)
        wanted = dict(query)
        limit = self.limit(query)
        wanted.pop('limit', None)
        marker = wanted.pop('marker', None)
        found = self.images
        if marker is not None:
            ids = [image['id'] for image in found]
            found = found[ids.index(marker) + 1 :]
        # Of the rest, Glance's own filters.
        found = [i for i in found if wanted.items() <= i.items()][:limit]
        page = {'images': found, 'schema': '/v2/schemas/images'}
        query = [(k, v) for k, v in query if k != 'marker']
        page['first'] = '/v2/images?' + urllib.parse.urlencode(query)
        if found and len(found) == limit:
            query.append(('marker', found[-1]['id']))
            page['next'] = '/v2/images?' + urllib.parse.urlencode(query)
        return page


def collect(glance, query):
    query = listing.parse(query)
    return listing.collect(query, glance.limit(query), glance.largest, glance)


def walk(glance, query):
    """All the pages, by their ``next`` links."""
    pages = []
    while query is not None:
        pages.append(collect(glance, query))
        link = pages[-1].get('next')
        query = urllib.parse.urlsplit(link).query if link else None
        assert len(pages) < 1000, 'there is no end of it'
    return pages


def image(number, disk_format='qcow2', size=1, **more):
    return {
        'id': str(number),
        'disk_format': disk_format,
        'container_format': 'bare',
        'checksum': None if disk_format == 'raw' else 'c',
        'size': size,
        **more,
    }


def ids(page):
    return [image['id'] for image in page['images']]


FORMATS = ['raw', 'qcow2', 'iso', None]
SIZES = st.one_of(st.none(), st.integers(0, 5))
IMAGES = st.lists(
    st.tuples(st.sampled_from(FORMATS), SIZES, st.sampled_from(['a', 'b'])),
    max_size=25,
)
FILTERS = st.lists(
    st.sampled_from(
        [
            ('disk_format', 'raw'),
            ('disk_format', 'in:raw,iso'),
            ('disk_format', 'eq:qcow2'),
            ('container_format', 'bare'),
            ('container_format', 'ovf'),
            ('size_min', '2'),
            ('size_max', '3'),
            ('name', 'a'),
        ]
    ),
    max_size=3,
    unique_by=lambda pair: pair[0],
)


@hypothesis.given(IMAGES, FILTERS, st.integers(1, 8), st.integers(1, 8))
def test_walking_the_links_gives_every_match_once_and_in_order(
    facts, filters, limit, largest
):
    images = [
        image(number, disk_format, size, name=name)
        for number, (disk_format, size, name) in enumerate(facts)
    ]
    glance = Glance(images, largest)
    query = [*filters, ('limit', str(limit))]

    pages = walk(glance, urllib.parse.urlencode(query))

    expected = [found for found in images if matches(found, filters)]
    assert [i for page in pages for i in page['images']] == expected
    full = min(limit, largest)
    assert all(len(page['images']) <= full for page in pages)
    assert all(page['images'] for page in pages[:-1])
    assert all(page['schema'] == '/v2/schemas/images' for page in pages)
    assert {page['first'] for page in pages} == {
        '/v2/images?' + urllib.parse.urlencode(query)
    }


def matches(found, filters):
    """The naive model: what each filter means, written down."""
    size = found['size']
    meanings = {
        ('disk_format', 'raw'): found['disk_format'] == 'raw',
        ('disk_format', 'in:raw,iso'): found['disk_format'] in ('raw', 'iso'),
        ('disk_format', 'eq:qcow2'): found['disk_format'] == 'qcow2',
        ('container_format', 'bare'): True,
        ('container_format', 'ovf'): False,
        ('size_min', '2'): size is not None and size >= 2,
        ('size_max', '3'): size is not None and size <= 3,
        ('name', 'a'): found['name'] == 'a',
    }
    return all(meanings[pair] for pair in filters)


def test_glance_is_not_asked_for_what_it_would_tell_wrong():
    glance = Glance([image(n, 'raw', name='a') for n in range(3)])

    collect(glance, 'disk_format=raw&name=a&size_min=1&limit=2&checksum=x')

    assert glance.asked == [
        'name=a&limit=2',
        'name=a&marker=1&limit=4',
    ]


def test_a_page_begins_where_the_caller_says():
    glance = Glance([image(n, 'raw') for n in range(5)])

    page = collect(glance, 'disk_format=raw&marker=1&limit=2')

    assert ids(page) == ['2', '3']
    assert page['next'] == '/v2/images?disk_format=raw&limit=2&marker=3'
    assert page['first'] == '/v2/images?disk_format=raw&limit=2'


def test_no_more_of_glances_pages_are_read_than_it_takes():
    glance = Glance([image(n, 'raw') for n in range(100)])

    collect(glance, 'disk_format=raw&limit=10')

    assert len(glance.asked) == 1


def every_tenth_is_raw(count):
    return [image(n, 'raw' if n % 10 == 9 else 'qcow2') for n in range(count)]


def test_few_matches_are_gathered_from_longer_and_longer_pages():
    glance = Glance(every_tenth_is_raw(100))

    page = collect(glance, 'disk_format=raw&limit=5')

    assert ids(page) == ['9', '19', '29', '39', '49']
    lengths = [dict(listing.parse(query))['limit'] for query in glance.asked]
    assert lengths == ['5', '10', '20', '40']


def test_a_page_with_images_looks_at_few_more_than_glances_longest_has():
    glance = Glance(every_tenth_is_raw(1000), largest=50)

    page = collect(glance, 'disk_format=raw&limit=20')

    assert ids(page) == ['9', '19', '29', '39', '49', '59']
    assert glance.asked == ['limit=20', 'marker=19&limit=40']
    assert page['next'] == '/v2/images?disk_format=raw&limit=20&marker=59'
    assert ids(collect(glance, 'disk_format=raw&limit=20&marker=59')) == [
        str(number) for number in range(69, 120, 10)
    ]


def test_an_empty_page_is_the_end_for_clients_so_it_comes_last():
    images = [image(n) for n in range(199)]
    glance = Glance([*images, image(199, 'raw')], largest=50)

    page = collect(glance, 'disk_format=raw&limit=20')

    assert ids(page) == ['199']
    lengths = [dict(listing.parse(query))['limit'] for query in glance.asked]
    assert lengths == ['20', '40', '50', '50', '50'], 'each looked at once'


def test_a_page_of_none_is_empty():
    glance = Glance([image(n, 'raw') for n in range(3)])

    assert walk(glance, 'disk_format=raw&limit=0')[0]['images'] == []


def test_a_page_that_glance_has_thinned_out_by_policy_is_no_end():
    """Glance judges each image after it has made its page (glance 33)."""
    glance = Glance([image(n, 'raw') for n in range(6)])

    def thinned(query_string):
        page = glance(query_string)
        page['images'] = [i for i in page['images'] if i['id'] not in '12']
        return page

    query = listing.parse('disk_format=raw&limit=3')

    assert ids(listing.collect(query, 3, 1000, thinned)) == ['0', '3', '4']


def test_what_the_caller_wrote_is_kept_in_the_links():
    name = 'ä & b=c'
    glance = Glance([image(n, 'raw', name=name) for n in range(3)])
    query = urllib.parse.urlencode(
        [('name', name), ('disk_format', 'raw'), ('limit', '2')]
    )

    (first, last) = walk(glance, query)

    assert first['first'] == f'/v2/images?{query}'
    assert ids(last) == ['2']


@pytest.mark.parametrize(
    ('query', 'expected'),
    [
        ('disk_format=raw', True),
        ('container_format=bare', True),
        ('checksum=x', True),
        ('os_hash_algo=sha512', True),
        ('os_hash_value=x', True),
        ('size_min=1', True),
        ('size_max=1&limit=5', True),
        ('disk_format=', True),
        ('', False),
        ('limit=5', False),
        ('name=raw', False),
        ('sort_key=size', False),
        ('virtual_size=1', False),
        # For Glance to refuse.
        ('disk_format=raw&limit=x', False),
        ('disk_format=raw&limit=-1', False),
        ('disk_format=raw&limit=', False),
        ('size_min=x', False),
        ('size_max=-1', False),
        ('size_min=1.5', False),
        (f'size_min={"9" * 5000}', False),
        (f'disk_format=raw&limit={"9" * 5000}', False),
    ],
)
def test_only_filters_on_what_is_changed_need_us(query, expected):
    assert listing.needed(listing.parse(query)) is expected


@pytest.mark.parametrize(
    ('value', 'passes'),
    [
        ('raw', True),
        ('eq:raw', True),
        ('in:raw', True),
        ('in:iso,raw', True),
        ('in:"iso","raw"', True),
        ('qcow2', False),
        ('Raw', False),
        ('', False),
        ('in:', False),
        ('in:rawx,xraw', False),
    ],
)
def test_a_format_passes_by_glances_operators(value, passes):
    shown = image(1, 'raw')

    assert listing.shows(shown, [('disk_format', value)]) is passes


def test_an_image_without_a_size_passes_no_filter_on_it():
    shown = image(1, size=None)

    assert not listing.shows(shown, [('size_min', '0')])
    assert not listing.shows(shown, [('size_max', '10')])
    assert not listing.shows({}, [('size_max', '10')])
