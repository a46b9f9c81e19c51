# SPDX-License-Identifier: Apache-2.0
"""Writes, lists and bytes, as they pass through the raw view."""

import json

import pytest

from glance_rawstore import exceptions
from glance_rawstore.raw_view import raw_file
from glance_rawstore.raw_view.representation import READ_ONLY
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import PATCH
from tests.unit.raw_view.conftest import TENANT

OLD_PATCH = 'application/openstack-images-v2.0-json-patch'
STATUS = 'raw_cache_status'


def change(path, op='add'):
    return {'op': op, 'path': path, 'value': 'active'}


# Writes


@pytest.mark.parametrize(
    ('body', 'kind'),
    [
        ([change(f'/{STATUS}')], PATCH),
        ([change(f'/{STATUS}', 'remove')], PATCH),
        ([change('/x'), change(f'/{STATUS}', 'replace')], PATCH),
        ([change(f'//{STATUS} ')], PATCH),
        ([{'add': f'/{STATUS}', 'value': 'active'}], OLD_PATCH),
        ([{'remove': f'/{STATUS}'}], OLD_PATCH),
    ],
)
def test_a_tenants_update_of_our_properties_is_refused(bed, body, kind):
    image_id = bed.image(copied=False, properties={'x': 'before'})

    answer = bed.write(body, f'/{image_id}', kind=kind)

    assert answer.status_int == 403
    assert 'Attribute raw_cache_status is read-only.' in answer.text
    assert bed.glance.asked == []
    assert bed.catalog.images[image_id].properties == {'x': 'before'}


def test_a_tenants_create_with_our_properties_is_refused(bed):
    answer = bed.write({'name': 'x', 'raw_cache_size': '1'})

    assert answer.status_int == 403
    assert bed.catalog.images == {}


@pytest.mark.parametrize('kind', [PATCH, OLD_PATCH])
def test_what_a_service_writes_of_them_is_dropped(bed, kind):
    """Nova gives its snapshots every property of their base image."""
    image_id = bed.image(copied=False, properties={})
    op = {'op': 'add', 'path': '/x'} if kind == PATCH else {'add': '/x'}
    ours = {
        **{k: v for k, v in op.items() if v != '/x'},
        **{k: f'/{STATUS}' for k, v in op.items() if v == '/x'},
    }
    body = [{**op, 'value': 'é'}, {**ours, 'value': 'active'}]

    answer = bed.write(body, f'/{image_id}', NOVA, kind)

    assert answer.status_int == 200
    assert bed.catalog.images[image_id].properties == {'x': 'é'}
    assert answer.json['x'] == 'é'


def test_a_snapshot_is_made_without_the_copy_of_its_base(bed):
    body = {'name': 's', 'x': 'y', **dict.fromkeys(READ_ONLY, '1')}

    answer = bed.write(body, caller=NOVA)

    assert answer.status_int == 201
    (image_id,) = bed.catalog.images
    assert bed.catalog.images[image_id].properties == {'x': 'y'}
    assert answer.headers['Location'].endswith(f'/v2/images/{image_id}')


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_other_writes_reach_glance_unchanged(bed, caller, monkeypatch):
    image_id = bed.image(copied=False, properties={})
    bodies = []
    body_of = bed.glance._body

    def noting(request):
        bodies.append(request.body)
        return body_of(request)

    monkeypatch.setattr(bed.glance, '_body', noting)
    body = b' [{"op":"add", "path":"/raw_cache", "value" : "true"}]\n'

    answer = bed.write(body, f'/{image_id}', caller)

    assert answer.status_int == 200
    assert bodies == [body]


@pytest.mark.parametrize('caller', [TENANT, NOVA])
@pytest.mark.parametrize(
    'body', [b'', b'{', b'\xff\xfe', b'{"raw_cache_status"', b'[' * 100_000]
)
def test_what_is_not_json_is_for_glance_to_refuse(bed, caller, body):
    image_id = bed.image(copied=False)

    assert bed.write(body, f'/{image_id}', caller).status_int in (400, 500)
    assert len(bed.glance.asked) == 1


def test_a_charset_that_python_does_not_know_breaks_nothing(bed):
    image_id = bed.image(copied=False)
    kind = f'{PATCH}; charset=nonsense'

    forged = bed.write([change(f'/{STATUS}')], f'/{image_id}', kind=kind)
    other = bed.write([change('/x')], f'/{image_id}', kind=kind)

    assert (forged.status_int, other.status_int) == (403, 200)


def test_an_update_is_answered_as_the_image_is_shown(bed):
    image_id = bed.image()

    for_tenant = bed.write([change('/x')], f'/{image_id}').json
    for_service = bed.write([change('/y')], f'/{image_id}', NOVA).json

    assert for_tenant[STATUS] == 'active'
    assert for_tenant['disk_format'] == 'qcow2'
    assert for_service == bed.get(f'/{image_id}')
    assert for_service['disk_format'] == 'raw'


def test_a_refused_update_is_glances_own_answer(bed):
    image_id = bed.image()

    answer = bed.write([change('/x')], f'/{image_id}', kind='text/plain')

    assert answer.status_int == 415


# Lists


def test_a_filter_goes_by_what_is_shown(bed):
    raw = [bed.image() for _ in range(3)]
    bed.image(copied=False)
    own = bed.image(copied=False, disk_format='raw')

    def listed(query, caller=NOVA):
        return [i['id'] for i in bed.get(f'?{query}', caller)['images']]

    assert listed('disk_format=raw') == [*raw, own]
    assert listed(f'size_min={SIZE}') == raw
    assert len(listed('disk_format=qcow2')) == 1
    assert len(listed('disk_format=qcow2', TENANT)) == 4
    assert listed('disk_format=raw', TENANT) == [own]


def test_a_filtered_list_is_walked_by_its_links(bed):
    every = [bed.image(copied=n % 3 == 0) for n in range(10)]
    query, found = 'disk_format=raw&limit=3', []
    while query:
        page = bed.get(f'?{query}')
        found.append([image['id'] for image in page['images']])
        query = page.get('next', '').partition('?')[2]

    assert found == [every[0:9:3], every[9:]]


def test_a_filtered_list_has_glances_usual_length(bed):
    bed.conf.set_override('limit_param_default', 2)
    bed.conf.set_override('api_limit_max', 3)
    bed.glance.largest = 3
    for _ in range(5):
        bed.image()

    assert len(bed.get('?disk_format=raw')['images']) == 2
    assert len(bed.get('?disk_format=raw&limit=99')['images']) == 3


@pytest.mark.parametrize('query', ['limit=x', 'disk_format=raw&limit=x'])
def test_a_list_that_glance_refuses_is_glances_own_answer(bed, query):
    answer = bed.ask(f'?{query}')

    assert answer.status_int == 400
    assert 'limit param must be an integer' in answer.text


def test_a_filtered_list_that_glance_refuses_is_its_own_answer(bed):
    answer = bed.ask('?disk_format=raw&marker=absent')

    assert answer.status_int == 404
    assert 'No image found' in answer.text


# Bytes


def part(bed, image_id, text, **headers):
    return bed.ask(
        f'/{image_id}/file', headers={'Range': f'bytes={text}', **headers}
    )


def test_the_whole_copy_is_sent_and_nothing_of_the_original(bed):
    image_id = bed.image()

    answer = bed.ask(f'/{image_id}/file')

    assert answer.status_int == 200
    assert answer.content_length == SIZE
    assert answer.headers['Accept-Ranges'] == 'bytes'
    assert 'Content-MD5' not in answer.headers
    assert answer.body == DATA.ljust(SIZE, b'\0')
    (original,) = bed.glance.originals
    assert (original.read, original.closed) == (0, True)


@pytest.mark.parametrize(
    ('text', 'start', 'stop'),
    [
        ('0-9', 0, 10),
        ('5-', 5, SIZE),
        (f'{SIZE - 5}-', SIZE - 5, SIZE),
        ('-7', SIZE - 7, SIZE),
        (f'100-{SIZE * 2}', 100, SIZE),
        (f'-{SIZE}', 0, SIZE),
    ],
)
def test_a_part_of_the_copy_is_sent(bed, text, start, stop):
    image_id = bed.image()

    answer = part(bed, image_id, text)

    assert answer.status_int == 206
    assert answer.content_length == stop - start
    expected = f'bytes {start}-{stop - 1}/{SIZE}'
    assert answer.headers['Content-Range'] == expected
    assert answer.body == DATA.ljust(SIZE, b'\0')[start:stop]


@pytest.mark.parametrize('text', [f'{SIZE}-', f'{SIZE * 2}-{SIZE * 3}'])
def test_a_part_beyond_the_end_is_refused(bed, text):
    image_id = bed.image()

    answer = part(bed, image_id, text)

    assert answer.status_int == 416
    assert answer.headers['Content-Range'] == f'bytes */{SIZE}'


def test_more_than_there_is_of_the_last_bytes_is_all_of_it(bed):
    """By RFC 9110, and by Glance; webob alone would refuse."""
    image_id = bed.image()

    answer = part(bed, image_id, f'-{SIZE + 1}')

    assert (answer.status_int, answer.content_length) == (200, SIZE)


def test_a_range_beyond_the_original_is_one_of_the_copy(bed):
    """Glance, asked for it, would refuse."""
    image_id = bed.image(data=b'short')

    assert part(bed, image_id, '10-19').body == DATA[10:20]


def test_a_range_that_was_meant_for_other_bytes_is_not_cut(bed):
    image_id = bed.image()

    answer = part(bed, image_id, '0-9', **{'If-Range': '"etag"'})

    assert (answer.status_int, answer.content_length) == (200, SIZE)


def test_a_range_of_an_original_is_left_to_glance(bed):
    image_id = bed.image(copied=False)

    answer = part(bed, image_id, '3-8')

    assert answer.status_int == 206
    assert answer.body == b'QFIQFI'
    assert answer.headers['Content-Range'] == 'bytes 3-8/3000'


def test_a_copy_that_vanishes_before_it_is_opened_leaves_the_original(
    bed,
):
    """Glance has given its whole original by then, and is asked again."""
    image_id = bed.image()
    bed.glance.after = lambda: (
        bed.world.names() and bed.world.pool.delete(image_id)
    )

    answer = part(bed, image_id, '3-8')

    assert answer.status_int == 206, 'with the range, this time'
    assert answer.body == b'QFIQFI'
    unused, used = bed.glance.originals
    assert (unused.read, unused.closed) == (0, True)
    assert used.read == 6


def test_ceph_away_before_the_copy_is_opened_leaves_the_original(
    bed, monkeypatch
):
    image_id = bed.image()

    def away(_settings, _image_id):
        raise exceptions.CephUnavailable('no answer')

    monkeypatch.setattr(raw_file.RawFile, 'open', away)

    assert bed.ask(f'/{image_id}/file').body == b'QFI' * 1000


def test_an_image_without_data_has_none(bed):
    image_id = bed.image(copied=False, data=b'', status='queued')

    assert bed.ask(f'/{image_id}/file').status_int == 204


def test_an_original_is_closed_when_the_client_goes_away(bed):
    image_id = bed.image(copied=False)
    request = bed.request(f'/{image_id}/file')

    chunks = bed.view(request.environ, lambda *_args: None)
    next(iter(chunks))
    chunks.close()

    (original,) = bed.glance.originals
    assert (original.read, original.closed) == (1000, True)


def test_answers_say_how_long_they_are(bed):
    image_id = bed.image()

    for path in ('', f'/{image_id}', f'/{image_id}/locations'):
        for caller in (TENANT, NOVA):
            answer = bed.ask(path, caller)
            assert answer.content_length == len(answer.body)
            assert answer.content_type == 'application/json'
            assert json.loads(answer.body) is not None
