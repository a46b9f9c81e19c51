# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore protect`` and ``unprotect``"""

import json
import uuid

import pytest

from tests.unit.tasks.conftest import ID

OTHER = str(uuid.uuid4())


@pytest.fixture
def properties(work):
    return lambda: work.catalog.images[ID].properties


def test_an_image_is_protected_and_not_any_more(on_node, properties):
    assert on_node('protect', ID) == (0, f'protected         {ID}\n', '')
    assert properties() == {'raw_cache': 'true', 'raw_cache_protected': 'true'}
    _, out, _ = on_node('protect', ID)
    assert out == f'protected         {ID}  as it was\n'

    assert on_node('unprotect', ID) == (0, f'unprotected       {ID}\n', '')
    assert properties() == {'raw_cache': 'true'}
    _, out, _ = on_node('unprotect', ID)
    assert out == f'unprotected       {ID}  as it was\n'


def test_a_dry_run_changes_nothing(on_node, properties):
    status, out, _ = on_node('protect', '--dry-run', ID)

    assert (status, out) == (0, f'to be protected   {ID}\n')
    assert 'raw_cache_protected' not in properties()


def test_an_image_that_is_gone_does_not_keep_the_others(on_node, properties):
    status, out, _ = on_node('protect', OTHER, ID, '--format=json')

    assert status == 3
    assert [each['outcome'] for each in json.loads(out)] == [
        *('not found', 'protected')
    ]
    assert properties()['raw_cache_protected'] == 'true'


def test_all_are_those_that_wish_for_a_copy(on_node, work):
    work.catalog.add(OTHER, b'', properties={'os_distro': 'debian'})

    _, out, _ = on_node('protect', '--all')
    assert out.split() == ['protected', ID]

    _, out, _ = on_node('protect', '--all', '--property=os_distro=debian')
    assert out == 'nothing to do\n'


def test_nothing_named_is_wrong_usage(on_node):
    status, out, err = on_node('protect')

    assert (status, out) == (2, '')
    assert 'Name images by their ids' in err
