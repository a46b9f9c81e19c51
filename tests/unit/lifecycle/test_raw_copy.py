# SPDX-License-Identifier: Apache-2.0
"""Names in the pool and in Glance, to the letter."""

import uuid

import pytest
from glance_store import multi_backend
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import store
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status

ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
FSID = '11111111-2222-3333-4444-555555555555'

image_ids = st.uuids().map(str)


def test_names_are_what_the_data_layout_says():
    assert raw_copy.name(ID) == f'{ID}_raw'
    assert raw_copy.part_name(ID) == f'{ID}_raw.part'
    assert raw_copy.SNAPSHOT == 'snap'
    assert raw_copy.META_SOURCE_FORMAT == 'glance_rawstore.source_format'
    assert raw_copy.META_BYTES_USED == 'glance_rawstore.bytes_used'
    assert raw_copy.META_PROGRESS == 'glance_rawstore.progress'


def test_the_url_is_what_nova_and_cinder_parse():
    url = raw_copy.url(FSID, 'images_raw', ID)

    assert url == f'rbd://{FSID}/images_raw/{ID}_raw/snap'


@given(image_ids)
def test_names_are_taken_apart_as_they_were_put_together(image_id):
    assert raw_copy.parse(raw_copy.name(image_id)) == (image_id, False)
    assert raw_copy.parse(raw_copy.part_name(image_id)) == (image_id, True)
    assert raw_copy.copy_of(raw_copy.name(image_id)) == image_id
    assert raw_copy.copy_of(raw_copy.part_name(image_id)) is None


@given(image_ids)
def test_an_id_that_a_tenant_wrote_in_capitals_is_one_too(image_id):
    """The Images API takes both, and keeps what it was given."""
    given = image_id.upper()

    assert raw_copy.parse(raw_copy.name(given)) == (given, False)


@pytest.mark.parametrize(
    'name',
    [
        '',
        ID,  # a snapshot of Nova's, or bytes that were not converted
        f'{ID}_raw.part.part',
        f'{ID}_raw_raw',
        f'{ID}_raw\n',
        f'\n{ID}_raw',
        f' {ID}_raw',
        f'{ID}_raw/snap',
        f'{ID}_raw@snap',
        f'{ID}_rawpart',
        f'{ID}_RAW',
        f'{ID}-raw',
        f'{ID[:-1]}_raw',
        f'{ID}0_raw',
        f'{ID.replace("-", "")}_raw',
        f'{ID[:-1]}g_raw',
        f'{ID[:-1]}\N{FULLWIDTH DIGIT ONE}_raw',
        '_raw',
        '../_raw',
        f'x{ID}_raw',
    ],
)
def test_any_other_name_is_not_a_copy(name):
    assert raw_copy.parse(name) is None
    assert raw_copy.copy_of(name) is None


@given(st.text() | st.from_regex(r'[0-9a-f-]{30,40}_raw(.part)?'))
def test_what_is_taken_for_a_copy_has_the_name_of_one(name):
    parsed = raw_copy.parse(name)

    if parsed is not None:
        image_id, part = parsed
        assert uuid.UUID(image_id)
        give = raw_copy.part_name if part else raw_copy.name
        assert give(image_id) == name


@given(fsid=image_ids, pool=st.text(min_size=1), image_id=image_ids)
def test_the_driver_reads_from_a_url_what_was_written(fsid, pool, image_id):
    location = store.StoreLocation({}, None)

    location.parse_uri(raw_copy.url(fsid, pool, image_id))

    assert (location.fsid, location.pool) == (fsid, pool)
    assert location.image == raw_copy.name(image_id)
    assert location.snapshot == raw_copy.SNAPSHOT


def test_metadata_is_what_the_design_says():
    found = raw_copy.location_metadata(
        'raw', Status.ACTIVE, 100, {'compute-1': 200, 'compute-2': -5}
    )

    assert found == {
        'store': 'raw',
        'format': 'raw',
        'status': 'active',
        'metrics': {
            'weight': '100',
            'node-weights': {'compute-1': '200', 'compute-2': '-5'},
        },
    }


def test_metadata_without_weights_of_nodes_has_an_empty_table():
    found = raw_copy.location_metadata('raw', Status.PENDING, 0)

    assert found['metrics'] == {'weight': '0', 'node-weights': {}}


@given(
    status=st.sampled_from(Status),
    weight=st.integers(),
    nodes=st.dictionaries(st.text(), st.integers()),
)
def test_glance_accepts_the_metadata(status, weight, nodes):
    """It takes str, dict and list only, and exactly these types."""
    metadata = raw_copy.location_metadata('raw', status, weight, nodes)

    multi_backend.check_location_metadata(metadata)

    assert type(metadata['status']) is str


def test_a_raw_copy_does_not_change():
    copy = raw_copy.RawCopy(
        ID, 'images_raw', Status.ACTIVE, 1, None, None, 0.0, 'name', 'id'
    )

    with pytest.raises(AttributeError):
        copy.status = Status.DELETED


@given(image_ids, image_ids)
def test_a_url_is_told_by_the_image_whose_copy_it_names(image_id, other):
    url = raw_copy.url(FSID, 'images_raw', image_id)

    assert raw_copy.is_url(url, image_id)
    assert raw_copy.is_url(url, other) == (other == image_id)
    assert not raw_copy.is_url(f'rbd://{FSID}/images/{ID}/snap', ID)
