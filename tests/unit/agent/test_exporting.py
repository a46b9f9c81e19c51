# SPDX-License-Identifier: Apache-2.0
"""What Prometheus is told, over HTTP."""

import multiprocessing
import threading
import urllib.request

import pytest
from prometheus_client import parser

from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore import tally
from glance_rawstore.agent import measures
from glance_rawstore.agent import metrics
from glance_rawstore.agent import passes
from glance_rawstore.agent.collecting import Collector
from glance_rawstore.agent.exporting import Endpoint
from glance_rawstore.agent.passes import Passes
from glance_rawstore.lifecycle import tally as counts
from glance_rawstore.lifecycle.budget import Limits
from tests.processes import free_port
from tests.waiting import DEADLINE


class Scraper:
    """Asks an endpoint."""

    def __init__(self, world):
        store = stores.Store('raw', 'rawrbd', -1000, world.settings)
        self.passes = Passes()
        self.endpoint = Endpoint(store, 5, Limits(), self.passes)
        self.port = free_port()
        self.endpoint.serve('127.0.0.1', self.port)

    def text(self):
        url = f'http://127.0.0.1:{self.port}/metrics'
        with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
            return answer.read().decode()

    def scrape(self):
        """Every sample: name, labels other than the store's, value."""
        found = {}
        for family in parser.text_string_to_metric_families(self.text()):
            for sample in family.samples:
                labels = {**sample.labels}
                assert labels.pop('store') == 'raw'
                found[sample.name, *labels.values()] = sample.value
        return found


@pytest.fixture
def scraper(world):
    return Scraper(world)


def test_before_the_first_look_only_the_agent_itself_is_told(scraper):
    found = scraper.scrape()

    assert found['glance_rawstore_pass_duration_seconds_count', 'reap'] == 0
    assert not any('copies' in key[0] for key in found)
    assert ('glance_rawstore_conversions_queued',) not in found


def test_what_was_seen_is_told(world, scraper):
    world.copy()
    tally.add(world.pool.ioctx, counts.succeeded(2, 100))
    tally.add(world.pool.ioctx, counts.ended(exceptions.NoSpace()))
    scraper.passes.queued = 7
    scraper.endpoint.look()

    found = scraper.scrape()

    prefix = 'glance_rawstore_'
    assert found[f'{prefix}copies', 'active'] == 1
    assert found[f'{prefix}conversions_total', 'succeeded'] == 1
    assert found[f'{prefix}conversion_failures_total', 'no_space'] == 1
    assert found[f'{prefix}conversion_written_bytes_total',] == 100
    assert found[f'{prefix}conversion_duration_seconds_bucket', '1'] == 0
    assert found[f'{prefix}conversion_duration_seconds_bucket', '+Inf'] == 1
    assert found[f'{prefix}conversion_duration_seconds_sum',] == 2
    assert found[f'{prefix}conversions_queued',] == 7
    assert (f'{prefix}oldest_pending_timestamp_seconds',) not in found


def test_every_metric_of_the_list_is_told_with_its_text(world, scraper):
    world.begin()
    tally.add(world.pool.ioctx, counts.evicted('lru', 1))
    scraper.endpoint.look()

    text = scraper.text()

    for metric in metrics.METRICS:
        assert f'# HELP {metric.family} {metric.text}\n' in text
        assert f'# TYPE {metric.family} {metric.kind}\n' in text


def test_a_scrape_is_answered_while_ceph_is_not(world, scraper, monkeypatch):
    """A look that hangs for ever holds nothing up."""
    world.copy()
    scraper.endpoint.look()
    go_on = threading.Event()
    monkeypatch.setattr(
        Collector, 'look', lambda self, pool: go_on.wait(DEADLINE) and None
    )
    hung = threading.Thread(target=scraper.endpoint.look)
    hung.start()

    assert scraper.scrape()['glance_rawstore_copies', 'active'] == 1

    go_on.set()
    hung.join()


def test_a_scrape_asks_ceph_for_nothing(world, scraper):
    scraper.endpoint.look()

    with world.away():
        assert scraper.scrape()['glance_rawstore_copies', 'active'] == 0


def test_passes_of_other_processes_are_told(scraper):
    """And go on from there when such a process is started again."""

    def work():
        scraper.passes.ended(passes.RECONCILE, 1.5, 1000.0)
        scraper.passes.ended(passes.RECONCILE, 0.5, None)

    for _ in range(2):
        process = multiprocessing.get_context('fork').Process(target=work)
        process.start()
        process.join()

    found = scraper.scrape()
    prefix = 'glance_rawstore_pass_'
    assert found[f'{prefix}duration_seconds_count', 'reconcile'] == 4
    assert found[f'{prefix}duration_seconds_sum', 'reconcile'] == 4
    assert found[f'{prefix}failures_total', 'reconcile'] == 2
    last = found[f'{prefix}last_success_timestamp_seconds', 'reconcile']
    assert last == 1000
    assert found[f'{prefix}failures_total', 'reap'] == 0


def test_a_port_that_is_taken_is_told_with_what_to_change(world, scraper):
    other = Endpoint(
        stores.Store('raw', 'rawrbd', -1000, world.settings),
        5,
        Limits(),
        Passes(),
    )

    with pytest.raises(exceptions.BadSetup, match='metrics_port'):
        other.serve('127.0.0.1', scraper.port)


def test_names_are_given_once():
    names = [metric.name for metric in metrics.METRICS]

    assert len(set(names)) == len(names)
    assert {m.source for m in metrics.METRICS} == set(measures.Source)
