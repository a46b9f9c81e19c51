# SPDX-License-Identifier: Apache-2.0
"""What a tenant's image properties ask for."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glance_rawstore import exceptions
from glance_rawstore import wishes

YES = ['true', 'True', 'TRUE', 't', '1', 'yes', 'y', 'on', ' true ']
NO = ['false', 'False', 'f', '0', 'no', 'n', 'off']
UNREADABLE = ['', 'maybe', '2', 'truee', 'true,false', 'wahr', '-1', 'None']


@pytest.mark.parametrize('value', YES)
def test_a_copy_is_wanted(value):
    assert wishes.wanted({'raw_cache': value}) is True
    assert wishes.mentioned({'raw_cache': value}) is True


@pytest.mark.parametrize('value', NO)
def test_a_copy_is_declined(value):
    assert wishes.wanted({'raw_cache': value}) is False
    assert wishes.mentioned({'raw_cache': value}) is False


@pytest.mark.parametrize(
    'properties',
    [{}, {'raw_cached': 'true'}, {'RAW_CACHE': 'true'}, {'os_type': 'linux'}],
)
def test_no_wish_is_no_wish(properties):
    assert wishes.wanted(properties) is False
    assert wishes.mentioned(properties) is False


@pytest.mark.parametrize('value', UNREADABLE)
def test_what_cannot_be_read_is_refused_and_not_taken_for_no(value):
    with pytest.raises(exceptions.InvalidProperty, match='raw_cache must be'):
        wishes.wanted({'raw_cache': value})


@pytest.mark.parametrize('value', UNREADABLE)
def test_the_tenant_is_told_of_what_cannot_be_read(value):
    assert wishes.mentioned({'raw_cache': value}) is True


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(exceptions.InvalidProperty) as caught:
        wishes.wanted({'raw_cache': 'x' * 1000})

    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    ('value', 'expected'),
    [('0', 0), ('7', 7), ('-7', -7), ('+7', 7), (' 7 ', 7), ('007', 7)],
)
def test_the_weight_is_the_tenants_own(value, expected):
    properties = {'raw_cache_weight': value}

    assert wishes.weight(properties, 100) == expected


def test_the_weight_is_the_stores_when_the_tenant_names_none():
    assert wishes.weight({'raw_cache': 'true'}, 100) == 100


@pytest.mark.parametrize(
    'value', ['', 'heavy', '1.5', '1e3', '0x10', 'nan', 'inf', '9' * 5000]
)
def test_a_weight_that_is_no_whole_number_is_refused(value):
    with pytest.raises(
        exceptions.InvalidProperty, match='raw_cache_weight must be'
    ) as caught:
        wishes.weight({'raw_cache_weight': value}, 100)

    assert len(str(caught.value)) < 140


@given(st.dictionaries(st.sampled_from(['raw_cache', 'x']), st.text()))
def test_any_text_is_yes_or_no_or_refused(properties):
    with contextlib.suppress(exceptions.InvalidProperty):
        assert wishes.wanted(properties) in (True, False)


@given(st.text())
def test_any_weight_is_a_number_or_refused(value):
    with contextlib.suppress(exceptions.InvalidProperty):
        found = wishes.weight({'raw_cache_weight': value}, 100)
        assert isinstance(found, int)
