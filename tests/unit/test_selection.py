# SPDX-License-Identifier: Apache-2.0
"""Weights, order and the rule for one status from many."""

import ast
import inspect
import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import selection

ABSENT = object()


def location(weight=ABSENT, nodes=ABSENT, name='x'):
    metrics = {}
    if weight is not ABSENT:
        metrics['weight'] = weight
    if nodes is not ABSENT:
        metrics['node-weights'] = nodes
    return {'url': f'rbd://{name}', 'metadata': {'metrics': metrics}}


@pytest.mark.parametrize(
    ('weight', 'nodes', 'node', 'expected'),
    [
        ('100', ABSENT, None, 100),
        ('100', ABSENT, 'n1', 100),
        ('100', {}, 'n1', 100),
        ('100', {'n1': '7'}, None, 100),
        ('100', {'n1': '7'}, '', 100),
        ('100', {'n1': '7'}, 'n1', 7),
        ('100', {'n1': '7'}, 'n2', 100),
        ('100', {'n1': '0'}, 'n1', 0),
        ('100', {'n1': '-7'}, 'n1', -7),
        (ABSENT, {'n1': '7'}, 'n1', 7),
        (ABSENT, {'n1': '7'}, 'n2', 0),
        (ABSENT, ABSENT, None, 0),
        ('-1', ABSENT, None, -1),
        ('1.5', ABSENT, None, 1.5),
        (' 12 ', ABSENT, None, 12),
        (12, ABSENT, None, 12),
        (1.5, ABSENT, None, 1.5),
        ('1e3', ABSENT, None, 1000),
        # what is not a number falls back on the next
        ('heavy', ABSENT, None, 0),
        ('', ABSENT, None, 0),
        (None, ABSENT, None, 0),
        ([], ABSENT, None, 0),
        ({}, ABSENT, None, 0),
        ('nan', ABSENT, None, 0),
        ('inf', ABSENT, None, 0),
        ('-inf', ABSENT, None, 0),
        (math.inf, ABSENT, None, 0),
        pytest.param('9' * 400, ABSENT, None, 0, id='long-text'),
        pytest.param(10**400, ABSENT, None, 0, id='long-number'),
        ('100', {'n1': 'heavy'}, 'n1', 100),
        ('100', {'n1': 'nan'}, 'n1', 100),
        ('100', {'n1': None}, 'n1', 100),
        ('100', ['n1'], 'n1', 100),
        ('100', 'n1', 'n1', 100),
        ('heavy', {'n1': 'heavy'}, 'n1', 0),
    ],
)
def test_what_a_location_weighs(weight, nodes, node, expected):
    assert selection.weight(location(weight, nodes), node) == expected


@pytest.mark.parametrize(
    'bad',
    [
        {},
        {'metadata': None},
        {'metadata': 'text'},
        {'metadata': []},
        {'metadata': {'metrics': None}},
        {'metadata': {'metrics': 'text'}},
        {'metadata': {'metrics': ['weight']}},
    ],
)
def test_a_location_that_says_nothing_has_the_default_weight(bad):
    assert selection.weight(bad, 'n1') == selection.DEFAULT_WEIGHT
    assert selection.status(bad) == 'active'


@pytest.mark.parametrize(
    ('weights', 'node', 'expected'),
    [
        ([], None, []),
        ([('1', {})], None, [0]),
        ([('1', {}), ('2', {}), ('3', {})], None, [2, 1, 0]),
        ([('3', {}), ('2', {}), ('1', {})], None, [0, 1, 2]),
        ([('1', {}), ('1', {}), ('1', {})], None, [0, 1, 2]),
        ([('1', {}), ('2', {}), ('1', {}), ('2', {})], None, [1, 3, 0, 2]),
        ([('-1', {}), (ABSENT, {}), ('1', {})], None, [2, 1, 0]),
        ([('bad', {}), (ABSENT, {}), ('0', {})], None, [0, 1, 2]),
        ([('9', {}), ('1', {'n1': '10'})], None, [0, 1]),
        ([('9', {}), ('1', {'n1': '10'})], 'n1', [1, 0]),
        ([('9', {}), ('1', {'n1': '10'})], 'n2', [0, 1]),
        ([('9', {'n1': '1'}), ('5', {})], 'n1', [1, 0]),
    ],
)
def test_the_heaviest_comes_first_and_equals_keep_their_order(
    weights, node, expected
):
    given = [
        location(weight, nodes, str(number))
        for number, (weight, nodes) in enumerate(weights)
    ]

    found = selection.order(given, node)

    assert found == [given[number] for number in expected]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
metadata = st.fixed_dictionaries(
    {},
    optional={
        'metadata': anything
        | st.fixed_dictionaries(
            {
                'metrics': st.fixed_dictionaries(
                    {},
                    optional={
                        'weight': anything,
                        'node-weights': st.just({'n1': '5'}) | anything,
                    },
                )
            }
        )
    },
)


@given(st.lists(metadata, max_size=6), st.sampled_from([None, 'n1', 'n2']))
def test_ordering_never_fails_and_never_loses_one(locations, node):
    """Metadata is what tenants and other software have written."""
    found = selection.order(locations, node)

    weights = [selection.weight(loc, node) for loc in found]
    assert sorted(map(id, found)) == sorted(map(id, locations))
    assert weights == sorted(weights, reverse=True)
    assert all(math.isfinite(weight) for weight in weights)


@pytest.mark.parametrize(
    ('value', 'expected'),
    [
        ('pending', 'pending'),
        ('active', 'active'),
        ('pending_delete', 'pending_delete'),
        (ABSENT, 'active'),
        (None, 'active'),
        (7, 'active'),
    ],
)
def test_the_status_that_a_location_carries(value, expected):
    metadata = {} if value is ABSENT else {'status': value}

    assert selection.status({'metadata': metadata}) == expected


STATUSES = ('active', 'uploading', 'pending', 'pending_delete', 'deleted')


def expected_status(subset):
    """The rule of the module's docstring, sentence by sentence."""
    if 'active' in subset:
        return 'active'
    if 'uploading' in subset:
        return 'uploading'
    if 'pending' in subset:
        return 'pending'
    if 'pending_delete' in subset:
        return 'pending_delete'
    return 'deleted'


@pytest.mark.parametrize(
    'subset',
    [
        subset
        for count in range(len(STATUSES) + 1)
        for subset in itertools.combinations(STATUSES, count)
    ],
    ids=lambda subset: '+'.join(subset) or 'none',
)
def test_an_image_is_as_available_as_its_best_location(subset):
    for order in (subset, subset[::-1], subset + subset):
        assert selection.derive_status(order) == expected_status(subset)


@pytest.mark.parametrize('unknown', ['', 'ACTIVE', 'queued', 'killed'])
def test_an_unknown_status_is_refused_by_name(unknown):
    with pytest.raises(ValueError, match=repr(unknown)):
        selection.derive_status(['active', unknown])


def test_a_client_can_take_this_module_alone():
    """It imports the standard library and nothing else."""
    tree = ast.parse(inspect.getsource(selection))
    imported = {
        node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
    }

    assert imported == {'collections.abc', 'typing'}
    assert not [n for n in ast.walk(tree) if isinstance(n, ast.Import)]
