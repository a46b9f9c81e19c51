# SPDX-License-Identifier: Apache-2.0
import hypothesis
import pytest
from hypothesis import strategies as st
from openstack.image.v2 import image as sdk_image

from glance_rawstore import formats
from glance_rawstore.raw_view import representation
from glance_rawstoreclient import copies
from glance_rawstoreclient.copies import Outcome


def copy(**attributes):
    given = {'image_id': 'i', 'name': 'n', 'image_status': 'active'}
    return copies.Copy(**{**given, 'disk_format': 'qcow2', **attributes})


def task(name, message, created_at):
    return {
        'input': {'import_req': {'method': {'name': name}}},
        'message': message,
        'created_at': created_at,
    }


def test_a_copy_is_read_from_the_properties_of_its_image():
    image = sdk_image.Image.existing(
        id='i',
        name='n',
        status='active',
        disk_format='qcow2',
        raw_cache='true',
        raw_cache_weight='7',
        raw_cache_status='pending',
        raw_cache_progress='40',
        raw_cache_size='1024',
    )

    assert copies.of(image) == copy(
        wish='true', weight='7', status='pending', progress=40, size=1024
    )


@pytest.mark.parametrize('value', ['', '-1', 'lots', '٤', None, '1.5'])
def test_a_number_that_is_none_is_not_shown(value):
    image = sdk_image.Image.existing(
        id='i', status='active', raw_cache_progress=value
    )

    assert copies.of(image).progress is None


def test_the_names_are_those_of_the_server():
    ours = {copies.STATUS, copies.PROGRESS, copies.SIZE}

    assert ours == representation.READ_ONLY


def test_the_formats_that_need_none_are_those_of_the_server():
    assert set(formats.ALREADY_RAW) == copies._NEED_NONE


@pytest.mark.parametrize(
    ('given', 'outcome'),
    [
        ({'status': 'active'}, Outcome.READY),
        ({'status': 'pending'}, Outcome.WAITING),
        ({'status': 'pending', 'image_status': 'saving'}, Outcome.WAITING),
        ({'image_status': 'importing'}, Outcome.WAITING),
        ({'image_status': 'queued', 'wish': 'true'}, Outcome.WAITING),
        ({'image_status': 'killed', 'status': 'pending'}, Outcome.FAILED),
        ({'image_status': 'deactivated'}, Outcome.FAILED),
        ({'status': 'pending_delete', 'wish': 'on'}, Outcome.WAITING),
        ({'status': 'pending_delete'}, Outcome.FAILED),
        ({'status': 'evicted', 'wish': 'true'}, Outcome.FAILED),
        ({'status': 'error', 'wish': 'true'}, Outcome.FAILED),
        ({'status': 'of a later release'}, Outcome.FAILED),
        ({'disk_format': 'raw', 'wish': 'true'}, Outcome.READY),
        ({'wish': 'true'}, Outcome.FAILED),
        ({}, Outcome.FAILED),
    ],
    ids=str,
)
def test_what_waiting_comes_to(given, outcome):
    assert copies.judge(copy(**given))[0] is outcome


@hypothesis.given(
    st.sampled_from([*copies.STATUSES, None]),
    st.sampled_from(['queued', 'importing', 'active', 'killed', 'deleted']),
    st.sampled_from(['qcow2', 'raw', 'iso', None]),
    st.sampled_from(['true', 'false', 'nonsense', None]),
)
def test_every_copy_is_judged_in_words(status, image_status, form, wish):
    judged = copies.judge(
        copy(
            status=status,
            image_status=image_status,
            disk_format=form,
            wish=wish,
        )
    )

    assert judged[1]
    if judged[0] is Outcome.READY:
        assert status == 'active' or form in ('raw', 'iso')


def test_the_newest_conversion_is_the_one_that_speaks():
    tasks = [
        task('raw-cache', 'old', '2026-01-01T00:00:00Z'),
        task('raw-cache', 'new', '2026-01-02T00:00:00Z'),
        task('glance-direct', 'the import', '2026-01-03T00:00:00Z'),
    ]

    assert copies.last_message(tasks) == 'new'


@pytest.mark.parametrize(
    'tasks', [[], [{}], [{'input': None}], [{'input': {'import_req': None}}]]
)
def test_where_no_conversion_is_known_nothing_is_said(tasks):
    assert copies.last_message(tasks) is None


def test_what_is_not_there_is_not_removed():
    changes = copies.changes(
        {'raw_cache': 'true'}, {}, frozenset({'raw_cache', 'raw_cache_weight'})
    )

    assert changes == [{'op': 'remove', 'path': '/raw_cache'}]
