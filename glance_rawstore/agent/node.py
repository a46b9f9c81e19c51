# SPDX-License-Identifier: Apache-2.0
"""What a process that closes the gap works with."""

import contextlib
import dataclasses
import threading
from collections.abc import Callable, Sequence

from oslo_config import cfg

from glance_rawstore import catalog
from glance_rawstore import evicting
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore import tickets
from glance_rawstore import tracing
from glance_rawstore.agent.acting import Actor
from glance_rawstore.agent.actions import Action
from glance_rawstore.agent.actions import Kind
from glance_rawstore.agent.policy import Policy
from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import Requester
from glance_rawstore.eviction import loading
from glance_rawstore.lifecycle.attempts import Retry
from glance_rawstore.options import Options
from glance_rawstore.tasks.job import Job


@dataclasses.dataclass(frozen=True)
class Node:
    """One raw store, Glance, and the options of both.

    :param store: the raw store
    :param all_stores: every configured store, to find originals in
    """

    store: stores.Store
    all_stores: dict[str, stores.Store]
    options: Options
    policy: Policy
    catalog: Catalog

    @classmethod
    def start(cls, files: Sequence[str], store: str) -> 'Node':
        """Make this process a node. Once in a process, after any fork.

        :param files: paths of Glance's configuration
        :param store: name of the raw store
        :raises BadSetup: saying what to change
        """
        conf = catalog.configure(files)
        configured = stores.read(conf)
        options = Options.read(conf, store)
        loading.load(options.eviction_policy, options.use_half_life)
        return cls(
            store=configured[store],
            all_stores=configured,
            options=options,
            policy=_policy(store, configured, options),
            catalog=Catalog(conf),
        )

    def actor(
        self, pool: raw_pool.RawPool, told: Callable[[Action], None]
    ) -> Actor:
        """Who carries plans out in an open raw pool."""
        return Actor(self.catalog, pool, self.policy, self.options, told)

    def evictor(
        self, pool: raw_pool.RawPool, told: Callable[[Action], None]
    ) -> evicting.Evictor:
        """Who keeps an open raw pool to its budget."""

        def tell(image_id: str, why: str) -> None:
            told(Action(Kind.RELIEVE, image_id, why))

        return evicting.Evictor(self.catalog, pool, self.options, tell)

    def job(
        self,
        image_id: str,
        stop: threading.Event,
        task_id: str | None = None,
        slot: tickets.Slot | None = None,
    ) -> Job:
        """A conversion that nobody asked for at this moment.

        :param stop: ends it in good order
        :param task_id: the task of a worker that is gone, to be continued
        :param slot: one of the node's, which the caller holds
        """
        return Job(
            image_id=image_id,
            store=self.store,
            all_stores=self.all_stores,
            options=self.options,
            catalog=self.catalog,
            requester=Requester(None, self._request_id(image_id, task_id)),
            stop=stop,
            resources=contextlib.ExitStack(),
            slot=slot,
            task_id=task_id,
        )

    def _request_id(self, image_id: str, task_id: str | None) -> str:
        """That of the task that goes on, or a new one."""
        known = {
            task.task_id: task.request_id
            for task in self.catalog.copy_tasks(image_id)
        }
        return known.get(task_id or '') or tracing.new_request_id()


def _policy(
    store: str, configured: dict[str, stores.Store], options: Options
) -> Policy:
    first = stores.raw_stores(configured)[0]
    return Policy(
        store=store,
        makes=first.name == store,
        default=options.by_default,
        weight=options.weight,
        node_weights=options.node_weights,
        max_size=options.max_size,
        retry=Retry(options.retry_delay, options.retry_limit),
    )


def check(conf: cfg.ConfigOpts, store: str) -> None:
    """Refuse a set-up with which glance-api does not start either.

    :raises BadSetup: saying what to change
    """
    try:
        default = conf.glance_store.default_backend
    except (cfg.NoSuchOptError, cfg.NoSuchGroupError) as exc:
        raise exceptions.BadSetup(f'[glance_store]: {exc}') from exc
    stores.check(store, stores.read(conf), default, stores.same_cluster)
