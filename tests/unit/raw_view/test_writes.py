# SPDX-License-Identifier: Apache-2.0
"""What would be written of our read-only properties."""

import copy

import hypothesis
import pytest
from hypothesis import strategies as st

from glance_rawstore.raw_view import writes
from glance_rawstore.raw_view.representation import READ_ONLY

STATUS = 'raw_cache_status'


@pytest.mark.parametrize('name', sorted(READ_ONLY))
def test_a_create_that_names_one_is_seen(name):
    body = {'name': 'x', name: 'active', 'raw_cache': 'true'}

    assert writes.ours(body) == {name}
    assert writes.without_ours(body) == {'name': 'x', 'raw_cache': 'true'}


@pytest.mark.parametrize(
    'change',
    [
        {'op': 'add', 'path': f'/{STATUS}', 'value': 'x'},
        {'op': 'replace', 'path': f'/{STATUS}', 'value': 'x'},
        {'op': 'remove', 'path': f'/{STATUS}'},
        {'path': f'/{STATUS}/deeper'},
        # Glance's older media type.
        {'add': f'/{STATUS}', 'value': 'x'},
        {'replace': f'/{STATUS}', 'value': 'x'},
        {'remove': f'/{STATUS}'},
        # What Glance takes for the same name.
        {'op': 'add', 'path': f'//{STATUS}', 'value': 'x'},
        {'op': 'add', 'path': f'/ {STATUS}\t', 'value': 'x'},
        {'add': f'// {STATUS} ', 'value': 'x'},
        # What it refuses, or we would rather not rely on that.
        {'op': 'add', 'path': STATUS, 'value': 'x'},
        {'op': 'add', 'path': '/name', 'add': f'/{STATUS}'},
    ],
)
def test_a_change_that_names_one_is_seen(change):
    other = {'op': 'add', 'path': '/name', 'value': STATUS}

    assert writes.ours([other, change]) == {STATUS}
    assert writes.without_ours([change, other]) == [other]


@pytest.mark.parametrize(
    'body',
    [
        {},
        [],
        None,
        7,
        'raw_cache_status',
        ['raw_cache_status'],
        [None, 1, []],
        {'raw_cache': 'true', 'raw_cache_weight': '1'},
        {'name': STATUS, 'x': {STATUS: 1}},
        [{'op': 'add', 'path': '/raw_cache', 'value': 'true'}],
        [{'op': 'add', 'path': '/raw_cache_status2', 'value': 'x'}],
        [{'op': 'add', 'path': f'/x/{STATUS}', 'value': 'x'}],
        [{'op': 'add', 'path': '/RAW_CACHE_STATUS', 'value': 'x'}],
        [{'op': 'add', 'path': 5, 'value': 'x'}],
        [{'op': 'add', 'path': None}],
        # Escapes are undone once, in the order of RFC 6901.
        [{'op': 'add', 'path': '/raw~1cache_status', 'value': 'x'}],
        [{'op': 'add', 'path': '/raw_cache~01status', 'value': 'x'}],
    ],
)
def test_other_writes_are_left_alone(body):
    assert writes.ours(body) == set()


def test_a_name_with_escapes_is_read_as_glance_reads_it(monkeypatch):
    """None of ours has a character that would be escaped."""
    monkeypatch.setattr(writes, 'READ_ONLY', frozenset({'a/b~1c'}))

    assert writes.ours([{'path': '/a~1b~01c'}]) == {'a/b~1c'}
    assert writes.ours([{'path': '/a/b~01c'}]) == set()


NAMES = st.one_of(st.sampled_from(sorted(READ_ONLY)), st.text(max_size=5))
POINTERS = st.builds(
    lambda lead, name, rest: lead + name + rest,
    st.sampled_from(['', '/', '//', '/ ', ' /']),
    NAMES,
    st.sampled_from(['', '/', '/x', ' ', '~', '~0']),
)
CHANGES = st.dictionaries(
    st.sampled_from(['op', 'path', 'add', 'replace', 'remove', 'value']),
    st.one_of(POINTERS, st.none(), st.integers()),
)
BODIES = st.one_of(
    st.dictionaries(NAMES, st.text(max_size=3)),
    st.lists(st.one_of(CHANGES, st.none(), st.text(max_size=3))),
)


@hypothesis.given(BODIES)
def test_nothing_of_ours_is_left_and_all_else_is(body):
    before = copy.deepcopy(body)

    left = writes.without_ours(body)

    assert writes.ours(left) == set()
    assert body == before, 'what came in is not changed'
    if not writes.ours(body):
        assert left == body
    if isinstance(body, list):
        assert left == [c for c in body if not writes.ours([c])]
    else:
        assert left == {k: v for k, v in body.items() if k not in READ_ONLY}
