# SPDX-License-Identifier: Apache-2.0
"""``openstack image raw cache``, by tenants, on a real cloud with an agent."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import images
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.agents import Agent
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true

QUICK = {'reconcile_interval': 1, 'reap_interval': 2, 'retry_delay': 1}


@pytest.fixture
def agent(cloud: Cloud, tmp_path: Path) -> Iterator[Agent]:
    """An agent, which makes what is asked for after the import."""
    with (
        agents.configured(cloud, tmp_path, 'node', **QUICK) as conf,
        Agent(cloud, tmp_path, conf) as running,
    ):
        yield running


class User:
    """Somebody with the openstack command."""

    def __init__(self, cloud: Cloud, name: str) -> None:
        self._cloud = cloud
        self._name = name

    def fails(self, *arguments: str) -> str:
        """Run what is to fail; returns what it says."""
        done = self._run(*arguments)
        assert done.returncode == 1, done
        assert 'Traceback' not in done.stderr
        return done.stderr

    def does(self, *arguments: str) -> str:
        """Run what is to succeed; returns its output."""
        done = self._run(*arguments)
        assert done.returncode == 0, done
        return done.stdout

    def reads(self, *arguments: str) -> Any:
        """What is given to a program."""
        return json.loads(self.does(*arguments, '-f', 'json'))

    def _run(self, *arguments: str) -> Any:
        return self._cloud.openstack(
            self._name, 'image', 'raw', 'cache', *arguments
        )


def test_a_tenant_asks_for_a_copy_follows_it_and_gives_it_up(
    agent: Agent, cloud: Cloud, pool: Pool, small_image: Path
) -> None:
    alice = User(cloud, 'alice')
    tenant = Tenant(cloud)
    image_id = tenant.import_file(small_image)
    name = small_image.name

    said = alice.does('set', '--wait', '--protected', '--weight', '7', name)

    assert said.startswith(f'{name}: the raw copy is ready, ')
    assert pool.names() == [f'{image_id}_raw']
    (listed,) = alice.reads('list')
    assert listed['ID'] == image_id
    assert listed['Copy Status'] == 'active'
    assert listed['Progress'] == 100
    shown = alice.reads('show', image_id)
    assert shown['raw_cache_protected'] == 'true'
    assert shown['raw_cache_weight'] == '7'
    assert shown['raw_cache_size'] == listed['Size']
    assert 'The raw copy is ready' in shown['message']

    alice.does('unset', name)

    await_true(lambda: pool.names() == [], 'the copy is gone')
    assert alice.reads('list') == []


def test_what_cannot_be_made_is_told_with_its_reason(
    agent: Agent, cloud: Cloud, tmp_path: Path, small_image: Path
) -> None:
    alice = User(cloud, 'alice')
    tenant = Tenant(cloud)
    wrapped = tenant.import_file(images.nested(tmp_path))
    unasked = tenant.import_file(small_image)

    said = alice.fails('set', '--wait', wrapped, 'no-such-image')
    silent = alice.fails('wait', unasked)

    assert 'itself a qcow2 image' in said
    assert 'no-such-image: No Image found' in said
    assert '2 of 2 images failed' in said
    assert '"openstack image raw cache set" asks for one' in silent


def test_a_copy_of_another_tenant_is_not_to_be_had(
    cloud: Cloud, small_image: Path
) -> None:
    image_id = Tenant(cloud).make_copy(small_image)
    bob = User(cloud, 'bob')

    assert bob.reads('list') == []
    assert image_id in bob.fails('show', image_id)
    assert image_id in bob.fails('set', '--never', image_id)
