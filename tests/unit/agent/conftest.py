# SPDX-License-Identifier: Apache-2.0
"""An agent's node in memory: Ceph, Glance and qemu-img are fakes."""

import time

import pytest

from glance_rawstore import convert
from glance_rawstore.agent.node import Node
from glance_rawstore.agent.policy import Policy
from glance_rawstore.lifecycle.attempts import Retry
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL
from tests.unit.tasks.conftest import Work


@pytest.fixture
def work(world, tmp_path, monkeypatch):
    """One image that wants a copy, and what makes it."""
    found = Work(world, tmp_path / 'scratch')
    found.catalog.add(ID, ORIGINAL, updated_at=time.time() - 1000)
    monkeypatch.setattr(convert, 'QemuImg', found.converter)
    return found


@pytest.fixture
def node(work):
    """The agent's view of the same."""
    options = work.options
    return Node(
        store=work.stores['raw'],
        all_stores=work.stores,
        options=options,
        policy=Policy(
            store='raw',
            makes=True,
            default=False,
            weight=options.weight,
            node_weights=options.node_weights,
            max_size=options.max_size,
            retry=Retry(60, 5),
        ),
        catalog=work.catalog,
    )
