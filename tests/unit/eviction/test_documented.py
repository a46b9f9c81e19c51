# SPDX-License-Identifier: Apache-2.0
"""The policy of one's own in the documentation works as it stands there."""

import re
import textwrap
from pathlib import Path

import pytest

from tests.unit.eviction import copies
from tests.unit.eviction.copies import DAY
from tests.unit.eviction.copies import NOW
from tests.unit.eviction.copies import candidate

PAGES = Path(__file__).parents[3] / 'doc' / 'source' / 'eviction'


@pytest.fixture
def largest():
    text = (PAGES / 'own.rst').read_text()
    block = re.search(
        r'\.\. code-block:: python\n.*?\n\n(.*?)\n\.\. code-block', text, re.S
    )
    names = {}
    exec(textwrap.dedent(block[1]), names)
    return names['Largest'](DAY)


def test_the_example_ranks(largest):
    small = candidate('small', bytes_used=1)
    large = candidate('large', bytes_used=9)
    used = candidate('used', bytes_used=99, last_used=NOW - DAY / 2)

    found = largest.rank([small, used, large], copies.USAGE, NOW)

    assert [copy.image_id for copy in found] == ['large', 'small']


@pytest.mark.parametrize('name', ['never', 'oldest', 'lru', 'popularity'])
def test_every_policy_has_its_page(name):
    assert (PAGES / f'{name}.rst').read_text().startswith('=')
    assert f'   {name}\n' in (PAGES / 'index.rst').read_text()
