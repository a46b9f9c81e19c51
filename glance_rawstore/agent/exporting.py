# SPDX-License-Identifier: Apache-2.0
"""The endpoint for Prometheus: answers with what was seen last.

A scrape reads memory alone: it costs Ceph nothing, and is answered while
Ceph is not.
"""

import importlib.metadata
import logging
from collections.abc import Iterator
from typing import Any

import prometheus_client
from prometheus_client import core
from prometheus_client import registry

from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.agent import collecting
from glance_rawstore.agent import measures
from glance_rawstore.agent import metrics
from glance_rawstore.agent.measures import Distribution
from glance_rawstore.agent.measures import Kind
from glance_rawstore.agent.measures import View
from glance_rawstore.agent.passes import Passes
from glance_rawstore.agent.sight import Sight
from glance_rawstore.lifecycle.budget import Limits

LOG = logging.getLogger(__name__)

_FAMILIES: dict[Kind, Any] = {
    Kind.GAUGE: core.GaugeMetricFamily,
    Kind.COUNTER: core.CounterMetricFamily,
    Kind.HISTOGRAM: core.HistogramMetricFamily,
    Kind.SUMMARY: core.SummaryMetricFamily,
}


def families(view: View) -> Iterator[core.Metric]:
    """All that is known, for Prometheus; what is not known is left out."""
    for metric in metrics.METRICS:
        family = _FAMILIES[metric.kind](
            measures.PREFIX + metric.name,
            metric.text,
            labels=('store', *metric.labels),
        )
        for labels, value in metric.samples(view):
            named = (view.store, *labels)
            if not isinstance(value, Distribution):
                family.add_metric(named, value)
            elif metric.kind is Kind.HISTOGRAM:
                family.add_metric(named, value.buckets, value.total)
            else:
                family.add_metric(named, value.count, value.total)
        yield family


class Endpoint(registry.Collector):
    """What was seen last, and the HTTP server that tells it.

    :param retry_limit: ``retry_limit``
    :param limits: of the store's budget
    :param passes: of this agent's processes
    """

    def __init__(
        self,
        store: stores.Store,
        retry_limit: int,
        limits: Limits,
        passes: Passes,
    ) -> None:
        self._store = store
        self._collector = collecting.Collector(retry_limit, limits)
        self._passes = passes
        self._version = importlib.metadata.version('glance-rawstore')
        self._sight: Sight | None = None

    def serve(self, address: str, port: int) -> None:
        """Answer from now on, in threads of its own.

        :raises BadSetup: the address or the port cannot be had
        """
        asked = registry.CollectorRegistry(auto_describe=False)
        asked.register(self)
        try:
            prometheus_client.start_http_server(port, address, asked)
        except OSError as exc:
            raise exceptions.BadSetup(
                f'Prometheus cannot be answered at {address}, port {port}: '
                f'{exc.strerror}. See metrics_address and metrics_port.'
            ) from exc
        LOG.info('Metrics are at http://%s:%d/metrics', address, port)

    def look(self) -> None:
        """See what there is.

        :raises CephUnavailable: the cluster does not answer
        """
        with raw_pool.RawPool.open(self._store.rbd) as pool:
            self._sight = self._collector.look(pool)

    def collect(self) -> Iterator[core.Metric]:
        """Answer a scrape."""
        yield from families(
            View(
                store=self._store.name,
                version=self._version,
                passes=self._passes.read(),
                queued=self._passes.queued,
                sight=self._sight,
            )
        )
