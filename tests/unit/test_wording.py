# SPDX-License-Identifier: Apache-2.0
"""How things are told to people."""

import pytest

from glance_rawstore import wording


@pytest.mark.parametrize(
    ('names', 'told'),
    [('', ''), ('a', 'a'), ('ab', 'a, b'), ('abc', 'a, b, ...')],
)
def test_some_are_named_and_there_are_dots_if_there_are_more(names, told):
    assert wording.some(tuple(names), 2) == told
