# SPDX-License-Identifier: Apache-2.0
"""Writes, as they pass through the raw view, and what answers them."""

import pytest

from glance_rawstore.raw_view.representation import READ_ONLY
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import PATCH
from tests.unit.raw_view.conftest import TENANT

OLD_PATCH = 'application/openstack-images-v2.0-json-patch'
STATUS = 'raw_cache_status'


def change(path, op='add'):
    return {'op': op, 'path': path, 'value': 'active'}


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


def test_so_is_one_whose_body_has_no_length(bed):
    """Glance takes it, in chunks, where its server lets it."""
    image_id = bed.image(copied=False, properties={'x': 'before'})

    refused = bed.write_chunked([change(f'/{STATUS}')], f'/{image_id}')
    written = bed.write_chunked([change('/x')], f'/{image_id}')

    assert (refused.status_int, written.status_int) == (403, 200)
    assert bed.catalog.images[image_id].properties == {'x': 'active'}


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
