# SPDX-License-Identifier: Apache-2.0
"""Who is shown what, and what is left of Glance's own answers."""

import dataclasses

import pytest
from oslo_config import cfg

from glance_rawstore import attempts
from glance_rawstore import raw_view
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.raw_view.representation import READ_ONLY
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT

NOBODY = {k: v for k, v in NOVA.items() if k != 'keystone.token_auth'}
IRONIC = {**NOVA, 'HTTP_X_SERVICE_USER_NAME': 'ironic'}
ADMIN = {**TENANT, 'HTTP_X_ROLES': 'admin'}


def test_paste_makes_the_filter_with_glances_configuration():
    made = raw_view.filter_factory({}, unused='x')('app')

    assert made._app == 'app'
    assert made._answers._conf is cfg.CONF


def test_a_service_is_shown_the_copy_in_every_answer(bed):
    image_id = bed.image()

    shown = bed.get(f'/{image_id}')

    assert shown['disk_format'] == 'raw'
    assert shown['size'] == SIZE
    assert shown['direct_url'] == bed.url(image_id)
    assert bed.get(f'/{image_id}/locations') == shown['locations']
    assert bed.get()['images'] == [shown]
    assert bed.ask(f'/{image_id}/file').body[: len(DATA)] == DATA


@pytest.mark.parametrize('caller', [TENANT, ADMIN, IRONIC, NOBODY, {}])
def test_everybody_else_is_shown_the_original(bed, caller):
    image_id = bed.image()
    original = bed.glance.shown(bed.catalog.images[image_id])

    shown = bed.get(f'/{image_id}', caller)

    ours = {
        'raw_cache_status': 'active',
        'raw_cache_progress': '100',
        'raw_cache_size': str(len(DATA)),
    }
    assert shown == {**original, **ours}
    assert bed.get('', caller)['images'] == [shown]
    assert bed.get(f'/{image_id}/locations', caller) == original['locations']
    assert bed.ask(f'/{image_id}/file', caller).body == b'QFI' * 1000


def test_always_means_everybody(make_bed):
    bed = make_bed('raw_view = always')
    image_id = bed.image()

    for caller in ({}, TENANT, NOVA):
        assert bed.get(f'/{image_id}', caller)['disk_format'] == 'raw'
        assert bed.ask(f'/{image_id}/file', caller).content_length == SIZE


def test_never_means_nobody(make_bed):
    bed = make_bed('raw_view = never')
    image_id = bed.image(properties={'raw_cache_status': 'active', 'x': 'y'})
    original = bed.glance.shown(bed.catalog.images[image_id])
    del original['raw_cache_status']

    assert bed.get(f'/{image_id}', NOVA) == original
    assert bed.get('', NOVA)['images'] == [original]
    assert bed.get(f'/{image_id}/locations') == original['locations']
    assert bed.ask(f'/{image_id}/file').body == b'QFI' * 1000
    assert bed.get(f'/{image_id}', TENANT)['raw_cache_status'] == 'active'


def test_the_services_are_those_that_are_named(make_bed):
    bed = make_bed('raw_view_services = ironic')
    image_id = bed.image()

    assert bed.get(f'/{image_id}', IRONIC)['disk_format'] == 'raw'
    assert bed.get(f'/{image_id}', NOVA)['disk_format'] == 'qcow2'


def test_services_are_not_shown_what_is_for_tenants(bed):
    copied = bed.image()
    other = bed.image(copied=False)
    bed.world.begin(other)

    for image_id in (copied, other):
        assert not READ_ONLY & bed.get(f'/{image_id}').keys()
    for image in bed.get()['images']:
        assert not READ_ONLY & image.keys()


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_what_is_stored_under_our_names_is_shown_to_nobody(bed, caller):
    stored = dict.fromkeys(READ_ONLY, 'forged')
    image_id = bed.image(copied=False, properties={**stored, 'x': 'y'})

    shown = bed.get(f'/{image_id}', caller)

    assert not READ_ONLY & shown.keys()
    assert shown['x'] == 'y'
    assert not READ_ONLY & bed.get('', caller)['images'][0].keys()


def test_tenants_follow_their_copy(bed):
    image_id = bed.image(copied=False)

    def status():
        shown = bed.get(f'/{image_id}', TENANT)
        return shown.get('raw_cache_status'), shown.get('raw_cache_progress')

    assert status() == ('pending', '0')
    _, rbd_id = bed.world.begin(image_id)
    bed.world.pool.set_progress(image_id, rbd_id, 42)
    assert status() == ('pending', '42')
    bed.world.pool.discard(image_id, rbd_id)
    failed = Attempts(1, False, 'Why.', 0.0, 'v')
    attempts.write(bed.world.pool.ioctx, image_id, failed)
    assert status() == ('error', None)
    bed.world.copy(image_id)
    assert status() == ('active', '100')


# Glance's own rules stay in force


@pytest.mark.parametrize('caller', [TENANT, NOVA])
@pytest.mark.parametrize('part', ['', '/locations', '/file'])
def test_what_glance_hides_stays_hidden(bed, caller, part):
    image_id = bed.image()
    bed.glance.hidden.add(image_id)

    answer = bed.ask(f'/{image_id}{part}', caller)

    assert answer.status_int == 404
    assert 'No image found' in answer.text, "Glance's own answer"
    assert bed.get('', caller)['images'] == []


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_a_download_that_glance_forbids_stays_forbidden(bed, caller):
    image_id = bed.image()
    bed.glance.no_download.add(image_id)

    assert bed.ask(f'/{image_id}/file', caller).status_int == 403


@pytest.mark.parametrize('caller', [TENANT, NOVA])
def test_a_deactivated_image_is_not_given_out(bed, caller):
    image_id = bed.image(status='deactivated')

    shown = bed.get(f'/{image_id}', caller)

    assert (shown['status'], shown['disk_format']) == ('deactivated', 'qcow2')
    assert bed.ask(f'/{image_id}/file', caller).status_int == 403


@pytest.mark.parametrize(
    ('method', 'path'),
    [
        ('HEAD', ''),
        ('DELETE', '/members'),
        ('PUT', '/file'),
        ('GET', '/members'),
    ],
)
def test_requests_that_are_not_ours_reach_glance_as_they_are(
    bed, method, path
):
    image_id = bed.image()

    answer = bed.ask(f'/{image_id}{path}', method=method)

    assert answer.status_int == 405
    assert bed.glance.asked == [f'{method} /v2/images/{image_id}{path}']


def test_a_conversion_that_a_tenant_forges_changes_nothing(bed):
    """Nor do locations that lead to other people's copies."""
    victim = bed.image()
    forged = {
        'id': 99,
        'url': bed.url(victim),
        'metadata': {'store': 'raw', 'format': 'raw', 'status': 'active'},
    }
    image_id = bed.image(
        copied=False, locations=(forged,), properties={'format': 'raw'}
    )

    shown = bed.get(f'/{image_id}')

    assert shown['disk_format'] == 'qcow2'
    assert 'direct_url' not in shown
    assert bed.get(f'/{image_id}/locations') == []


def test_an_image_that_goes_while_its_locations_are_asked_for_has_none(bed):
    """What it was cannot be told any more; Cinder may still remember raw."""
    image_id = bed.image()

    def gone():
        bed.catalog.images.clear()

    bed.glance.after = gone

    assert bed.get(f'/{image_id}/locations') == []


def test_a_copy_that_goes_between_two_calls_leaves_nothing_to_clone(bed):
    image_id = bed.image()
    assert bed.get(f'/{image_id}')['disk_format'] == 'raw'

    bed.world.pool.delete(image_id)

    assert bed.get(f'/{image_id}/locations') == []
    assert 'direct_url' not in bed.get(f'/{image_id}')


def test_weights_are_the_images_or_the_stores(bed):
    usual = bed.image(properties={})
    own = bed.image(properties={'raw_cache_weight': '7'})
    bad = bed.image(properties={'raw_cache_weight': 'much'})

    found = {
        image['id']: image['locations'][0]['metadata']['metrics']['weight']
        for image in bed.get()['images']
    }

    assert found == {usual: '100', own: '7', bad: '100'}


def test_a_property_called_id_leads_to_no_other_image(bed):
    """Glance takes none of that name; its database might hold one."""
    victim = bed.image()
    image_id = bed.image(copied=False)
    found = bed.catalog.images[image_id]
    bed.catalog.images[image_id] = dataclasses.replace(
        found, properties={'id': victim}
    )

    assert bed.get(f'/{image_id}/locations') == []
    assert bed.ask(f'/{image_id}/file').body == b'QFI' * 1000


# Ceph away


def test_originals_are_shown_while_ceph_is_away(bed):
    image_id = bed.image()
    with bed.world.away():
        for caller in (NOVA, TENANT):
            shown = bed.get(f'/{image_id}', caller)
            assert shown['disk_format'] == 'qcow2'
        assert bed.ask(f'/{image_id}/file', TENANT).body == b'QFI' * 1000
        assert bed.get(f'/{image_id}/locations') == []
        assert len(bed.get()['images']) == 1


def test_settings_that_cannot_be_read_are_told_each_time(make_bed):
    bed = make_bed('[raw]\n    raw_copy_node_weights = compute-1:much')
    image_id = bed.image()

    for _ in range(2):
        with pytest.raises(Exception, match='must be node:number pairs'):
            bed.ask(f'/{image_id}')
