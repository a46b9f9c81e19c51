# SPDX-License-Identifier: Apache-2.0
"""What an operator sees of real copies: the figures of a running agent."""

import dataclasses
import json
import shutil
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import parser

from glance_rawstore import raw_pool
from glance_rawstore import rights
from tests.cloud import Cloud
from tests.functional import agents
from tests.functional.agents import Agent
from tests.functional.prometheus import Prometheus
from tests.functional.support import Pool
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.processes import free_port
from tests.waiting import DEADLINE

Figures = dict[tuple[str, ...], float]


class Watched:
    """A running agent and its endpoint.

    :ivar port: TCP port of the endpoint
    """

    def __init__(self, agent: Agent, port: int) -> None:
        self.agent = agent
        self.port = port

    def text(self) -> str:
        """A scrape, as Prometheus gets it."""
        url = f'http://127.0.0.1:{self.port}/metrics'
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return str(answer.read().decode())

    def figures(self) -> Figures:
        """Every sample, by name and further labels; none before it listens."""
        try:
            text = self.text()
        except OSError:
            return {}
        found = {}
        for family in parser.text_string_to_metric_families(text):
            for sample in family.samples:
                labels = dict(sample.labels)
                assert labels.pop('store') == 'raw'
                found[sample.name, *labels.values()] = sample.value
        return found

    def figure(self, name: str, *labels: str) -> float | None:
        """One sample."""
        return self.figures().get((f'glance_rawstore_{name}', *labels))


@pytest.fixture
def watched(cloud: Cloud, tmp_path: Path) -> Iterator[Watched]:
    """An agent that answers Prometheus."""
    port = free_port()
    options = {
        'reconcile_interval': 1,
        'reap_interval': 2,
        'metrics_port': port,
        'metrics_interval': 1,
    }
    budget = {'raw': {'raw_cache_budget': '10GiB'}}
    with (
        agents.configured(
            cloud, tmp_path, 'watched', others=budget, **options
        ) as conf,
        Agent(cloud, tmp_path, conf) as agent,
    ):
        yield Watched(agent, port)


def test_conversions_of_every_process_are_counted(
    watched: Watched, cloud: Cloud, tenant: Tenant, small_image: Path
) -> None:
    """Those of glance-api at an import, and those of the agent."""

    def made() -> float:
        return watched.figure('conversions_total', 'succeeded') or 0.0

    await_true(
        lambda: watched.figure('agents') == 1.0, 'the agent sees the pool'
    )
    before = made()
    imported = tenant.make_copy(small_image)
    await_true(lambda: made() == before + 1, "glance-api's is counted")
    later = tenant.import_file(small_image)
    tenant.images.update(later, raw_cache='true')
    await_true(lambda: made() == before + 2, "the agent's is counted")

    await_true(
        lambda: watched.figure('copies', 'active') == 2, 'both are seen'
    )
    figures = watched.figures()
    used = figures['glance_rawstore_copies_size_bytes', 'active']
    written = figures['glance_rawstore_conversion_written_bytes_total',]
    assert 0 < used <= written
    name = 'glance_rawstore_conversion_duration_seconds_'
    assert figures[f'{name}count',] == made()
    assert 0 < figures[f'{name}sum',] < 600
    for kind in ('reconcile', 'reap', 'collect'):
        await_true(
            lambda k=kind: watched.figure(
                'pass_last_success_timestamp_seconds', k
            ),
            f'a pass of {kind} has succeeded',
        )
    _check_names(watched.text())
    assert imported not in watched.text()
    assert 'Traceback' not in watched.agent.log()


def _check_names(text: str) -> None:
    """By Prometheus's own rules."""
    promtool = shutil.which('promtool')
    assert promtool is not None, "promtool of Debian's prometheus is missing"
    done = subprocess.run(
        [promtool, 'check', 'metrics'],
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, '', '')


@pytest.fixture
def tenant(cloud: Cloud) -> Tenant:
    """The tenant who imports."""
    return Tenant(cloud)


#: Queries of the dashboard that have no answer where all is well.
SILENT = {
    'Oldest: {{store}} pending',
    'Oldest: {{store}} pending_delete',
    'Failed per hour: {{store}} {{reason}}',
    'Failed per hour: {{store}} lease lost',
    'Evicted per hour: {{store}} {{policy}}',
    'Bytes evicted per hour: {{store}} {{policy}}',
}


def test_a_real_prometheus_answers_every_query_of_the_dashboard(
    watched: Watched, tenant: Tenant, small_image: Path, tmp_path: Path
) -> None:
    """With a copy made while it looks; and no alert stays."""
    with Prometheus(tmp_path / 'prometheus', watched.port) as prometheus:
        made = 'glance_rawstore_conversion_written_bytes_total'
        await_true(lambda: prometheus.query(made), 'it scrapes')
        tenant.make_copy(small_image)
        await_true(
            lambda: prometheus.query(f'increase({made}[1h]) > 0'),
            'it has seen a copy being made',
        )

        # What one scrape has seen of a copy being made passes with the next
        # ones, and so does a scrape that came too late for its second.
        await_true(
            lambda: prometheus.silent('raw') == SILENT,
            'all but what does not happen here has an answer',
        )
        await_true(lambda: prometheus.healthy(), 'all rules are evaluated')
        # A moment's state is an alert that waits for its 30 min.
        await_true(
            lambda: prometheus.get('alerts')['alerts'] == [], 'no alert'
        )


def notifications(cloud: Cloud, image_id: str) -> list[dict[str, Any]]:
    """What glance-api has told of an image's copy, by the driver log."""
    found = []
    whole, _, _ = cloud.log().rpartition('\n')
    for line in whole.splitlines():
        if 'oslo.messaging.notification.image.raw_copy' in line:
            message = json.loads(line[line.index('{') :])
            if message['payload']['image_id'] == image_id:
                found.append(message)
    return found


def test_glance_notifies_of_copies(
    cloud: Cloud, tenant: Tenant, small_image: Path
) -> None:
    """As it does of its images, and says whose they are."""
    image_id = tenant.make_copy(small_image)
    owner = tenant.images.get(image_id)['owner']

    def told() -> list[str]:
        found = notifications(cloud, image_id)
        return [n['event_type'].split('.')[-1] for n in found]

    await_true(lambda: told() == ['start', 'end'], 'how it was made is told')
    tenant.images.delete(image_id)
    await_true(
        lambda: told() == ['start', 'end', 'delete'], 'all of it is told'
    )
    start, end, delete = (n['payload'] for n in notifications(cloud, image_id))
    assert {p['owner'] for p in (start, end, delete)} == {owner}
    assert {p['store'] for p in (start, end, delete)} == {'raw'}
    assert start['request_id'] == end['request_id']
    assert start['request_id'].startswith('req-')
    assert 0 < start['data_bytes'] <= end['bytes_used'] < 64 << 20
    assert end['virtual_size_bytes'] == 64 << 20
    assert delete['in_use'] is False
    assert delete['request_id'] not in (None, start['request_id'])
    text = json.dumps([start, end, delete])
    assert 'rbd:' not in text
    assert cloud.cluster.fsid not in text


def test_a_bus_that_is_away_holds_no_conversion_up(
    cloud: Cloud, tenant: Tenant, small_image: Path, tmp_path: Path
) -> None:
    """Nor do Glance's own notifications of our tasks."""
    away = {
        'driver': 'messagingv2',
        'transport_url': f'rabbit://user:secret@127.0.0.1:{free_port()}/',
    }
    image_id = tenant.import_file(small_image)
    tenant.images.update(image_id, raw_cache='true')
    with (
        agents.configured(
            cloud,
            tmp_path,
            'away',
            others={'oslo_messaging_notifications': away},
            reconcile_interval=1,
        ) as conf,
        Agent(cloud, tmp_path, conf) as agent,
    ):
        task = tenant.await_copy_task(image_id)

        assert task['status'] == 'success'
        assert agent.stop() == 0


#: Caps of users that lack something, and what they lack.
LACKING = {
    'reader': (
        {'mon': 'profile rbd', 'osd': 'profile rbd-read-only pool={raw}'},
        {rights.WRITE, rights.LOCK},
    ),
    'harmless': (
        {'mon': 'allow r', 'osd': 'profile rbd pool={raw}'},
        {rights.FENCE},
    ),
    'stranger': (
        {'mon': 'profile rbd', 'osd': 'profile rbd pool=volumes'},
        {rights.READ, rights.WRITE, rights.LOCK},
    ),
}


@pytest.mark.parametrize('user', LACKING)
def test_what_a_user_lacks_is_found_without_changing_anything(
    cloud: Cloud, pool: Pool, user: str
) -> None:
    caps, lacking = LACKING[user]
    raw = cloud.raw_pool
    cloud.cluster.user(user, {k: v.format(raw=raw) for k, v in caps.items()})
    before = pool.objects()

    settings = dataclasses.replace(pool.settings, user=user)
    with raw_pool.RawPool.open(settings) as opened:
        found = rights.of_pool(opened)

    assert {name for name, granted in found.items() if not granted} == lacking
    assert pool.objects() == before


def test_the_check_tells_whether_all_is_well(
    cloud: Cloud, tenant: Tenant, small_image: Path, tmp_path: Path
) -> None:
    """With the documented caps, an agent, and without one; no Ceph at all."""
    tenant.make_copy(small_image)

    def check(*args: str) -> tuple[int, str]:
        done = agents.run(cloud, 'status', '--check', *args)
        return done.returncode, done.stdout

    code, told = check('--min-agents=0')
    assert (code, told.partition(' | ')[0]) == (
        0,
        'RAWSTORE OK - 1 active, 0 pending, 0 waiting to be deleted',
    )
    assert ' size=12648448B ' in told
    with (
        agents.configured(
            cloud, tmp_path, 'seen', reconcile_interval=60
        ) as conf,
        Agent(cloud, tmp_path, conf) as agent,
    ):
        await_true(lambda: check()[0] == 0, 'the agent is seen')
        agent.stop()
    assert check() == (
        2,
        'RAWSTORE CRITICAL - no agent is there | active=1 pending=0 '
        'pending_delete=0 size=12648448B agents=0\n',
    )
    nowhere = tmp_path / 'ceph.conf'
    nowhere.write_text(f'[global]\nmon_host = 127.0.0.1:{free_port()}\n')
    away = tmp_path / 'away.conf'
    away.write_text(
        cloud.conf.read_text().replace(str(cloud.cluster.conf), str(nowhere))
    )
    done = subprocess.run(
        [
            *(agents.PROGRAM, '--config-file', away),
            *('status', '--check', '--timeout=2'),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )
    assert done.returncode == 2
    assert done.stdout.startswith('RAWSTORE CRITICAL - ')
