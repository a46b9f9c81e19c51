# SPDX-License-Identifier: Apache-2.0
"""Lists, as they pass through the raw view, and the form of every answer."""

import json

import pytest

from tests.contract.world import SIZE
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import TENANT


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


def test_answers_say_how_long_they_are(bed):
    image_id = bed.image()

    for path in ('', f'/{image_id}', f'/{image_id}/locations'):
        for caller in (TENANT, NOVA):
            answer = bed.ask(path, caller)
            assert answer.content_length == len(answer.body)
            assert answer.content_type == 'application/json'
            assert json.loads(answer.body) is not None
