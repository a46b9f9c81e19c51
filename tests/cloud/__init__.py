# SPDX-License-Identifier: Apache-2.0
"""A real Glance, with a real Keystone, on a throw-away Ceph.

As a fixture, without pytest::

    with Cluster() as cluster, Cloud(cluster) as cloud:
        alice = cloud.client('alice')
        alice.images.list()

Everything listens on 127.0.0.1 and is gone afterwards.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fixtures
import glanceclient
import psutil

from tests.cloud import config
from tests.cloud import wsgi
from tests.cloud.keystone import REGION
from tests.cloud.keystone import USERS
from tests.cloud.keystone import Keystone
from tests.cluster import Cluster
from tests.processes import Daemon
from tests.processes import ProcessError
from tests.processes import free_port
from tests.processes import is_free
from tests.processes import run
from tests.processes import wait_for
from tests.waiting import DEADLINE

__all__ = ['REGION', 'USERS', 'Cloud', 'Keystone']


class Cloud(fixtures.Fixture):
    """Glance and Keystone.

    Several can be up at once: give the second one another region, a prefix
    if it is on the same cluster, and the first one's Keystone.
    """

    def __init__(
        self,
        cluster: Cluster,
        overrides: config.Options | None = None,
        *,
        plugins: bool = True,
        stores: Mapping[str, str] | None = None,
        filters: Mapping[str, str] | None = None,
        prefix: str = '',
        keystone: Keystone | None = None,
        region: str = REGION,
        processes: int = 2,
        threads: int = 8,
    ) -> None:
        """Make a cloud that is not running yet.

        :param cluster: a running one
        :param overrides: options of glance-api.conf, by group
        :param plugins: with our store and our import plugin; else Glance is
            as it would be without us
        :param stores: further ones, by name, e.g. {'fast': 'file'}
        :param filters: paste filters put before the API, by name
        :param prefix: of the names of pools and of Ceph's user
        :param keystone: one that is set up; a new one if None
        :param processes: of glance-api
        :param threads: in each process
        """
        super().__init__()
        self.cluster = cluster
        self.region = region
        self.images_pool = f'{prefix}images'
        self.raw_pool = f'{prefix}images_raw'
        self.ceph_user = f'{prefix}glance'
        self._overrides = overrides or {}
        self._plugins = plugins
        self._stores = stores or {}
        self._filters = filters or {}
        self._given_keystone = keystone
        self._workers = (processes, threads)
        self._api: Daemon | None = None

    def _setUp(self) -> None:
        self.keystone = self._given_keystone or self.useFixture(Keystone())
        self.directory = Path(self.useFixture(fixtures.TempDir()).path)
        self.port = free_port()
        self.addCleanup(self.kill)
        self._prepare_ceph()
        self.configure()
        # Keystone and Glance get ready at the same time.
        self._launch()
        self.keystone.ready()
        endpoint = self.keystone.register(
            'image', self.catalog_url, self.region
        )
        if self._given_keystone is not None:
            self.addCleanup(endpoint.delete)
        self._await_api()

    # Configuration --------------------------------------------------------

    def _prepare_ceph(self) -> None:
        """Make the pools, and the user with the documented capabilities."""
        pools = [self.images_pool]
        if self._plugins:
            pools.append(self.raw_pool)
        for pool in pools:
            self.cluster.create_pool(pool)
        profiles = ', '.join(f'profile rbd pool={pool}' for pool in pools)
        self.cluster.user(
            self.ceph_user, {'mon': 'profile rbd', 'osd': profiles}
        )

    def configure(self, overrides: config.Options | None = None) -> None:
        """Write Glance's files, with these options changed from now on.

        A running API sees them after restart().
        """
        self._overrides = config.merge(self._overrides, overrides or {})
        for name in ('staging', 'tasks', 'locks', *self._stores):
            (self.directory / name).mkdir(exist_ok=True)
        paste = self.directory / 'glance-api-paste.ini'
        paste.write_text(config.pipeline(self._filters))
        self.conf.write_text(config.render(self._options()))

    @property
    def conf(self) -> Path:
        """glance-api.conf."""
        return self.directory / 'glance-api.conf'

    def _options(self) -> config.Options:
        kinds = {config.CEPH: 'rbd', **self._stores}
        pools = {config.CEPH: self.images_pool}
        if self._plugins:
            kinds[config.RAW] = 'rawrbd'
            pools[config.RAW] = self.raw_pool
        layers = [
            config.service(self.directory, self.catalog_url),
            config.authtoken(self.keystone.url, self.env('glance')),
            config.stores(self.directory, kinds),
            config.plugins(['raw_cache'] if self._plugins else []),
        ]
        for name, pool in pools.items():
            layers.append(
                config.rbd(name, pool, self.ceph_user, self.cluster.conf)
            )
        return config.merge(*layers, self._overrides)

    # The API --------------------------------------------------------------

    @property
    def catalog_url(self) -> str:
        """Where Keystone says that Glance is."""
        return f'http://127.0.0.1:{self.port}'

    def start(self) -> None:
        """Start the API again after stop() or kill().

        :raises ProcessError: with the tail of its log, if it ends or does
            not get ready in time
        """
        # What was killed may hold it until its last thread has ended.
        if not wait_for(lambda: is_free(self.port), DEADLINE):
            raise ProcessError(f'port {self.port} is still in use')
        self._launch()
        self._await_api()

    def _launch(self) -> None:
        # one that did not get ready, perhaps
        self.kill()
        commands = [wsgi.uwsgi('glance.wsgi.api', self.port, *self._workers)]
        if not (self.directory / 'glance.db').exists():
            manage = [wsgi.program('glance-manage'), '--config-file']
            commands.insert(0, [*manage, str(self.conf), 'db_sync'])
        self._api = Daemon(
            'glance-api',
            wsgi.in_turn(*commands),
            self._log,
            wsgi.environment(OS_GLANCE_CONFIG_DIR=str(self.directory)),
        )

    def _await_api(self) -> None:
        assert self._api is not None
        self._api.wait_until(
            lambda: wsgi.answers(f'{self.catalog_url}/healthcheck'),
            DEADLINE,
        )

    def stop(self, seconds: float = DEADLINE) -> None:
        """Ask the API to end in good order; kill it after so many seconds."""
        if self._api is not None:
            self._api.stop(seconds)

    def restart(self) -> None:
        """Stop and start the API."""
        self.stop()
        self.start()

    def reload(self) -> None:
        """Ask the API to replace its workers in good order; does not wait."""
        assert self._api is not None
        os.kill(self._api.pid, signal.SIGHUP)

    def kill(self) -> None:
        """Kill the API, its workers and what they run, as a crash would."""
        if self._api is not None:
            self._api.kill()

    def api_pids(self) -> list[int]:
        """Return the process ids of the API's workers."""
        if self._api is None or not self._api.running:
            return []
        master = psutil.Process(self._api.pid)
        return [worker.pid for worker in master.children()]

    @property
    def _log(self) -> Path:
        return self.directory / 'glance-api.log'

    def log(self) -> str:
        """Return everything the API has logged, over all its starts."""
        return self._log.read_text(errors='replace')

    # Its users ------------------------------------------------------------

    def client(self, user: str, service: str | None = None) -> Any:
        """Return glanceclient's v2 client of a user.

        :param user: one of USERS
        :param service: a service user whose token goes along
        """
        return glanceclient.Client(
            '2',
            session=self.keystone.session(user, service),
            region_name=self.region,
        )

    def env(self, user: str) -> dict[str, str]:
        """Return the variables by which the glance command logs in."""
        return self.keystone.env(user, self.region)

    def glance(
        self, user: str, *arguments: str, timeout: float = DEADLINE
    ) -> str:
        """Run the glance command as a user; return its stdout.

        :raises ProcessError: if it fails or takes longer, in seconds
        """
        # It takes any stdin that is not a terminal for an image's data, and
        # only a closed one for none.
        command = ['sh', '-c', 'exec "$0" "$@" <&-', wsgi.program('glance')]
        return run(
            [*command, *arguments],
            timeout,
            wsgi.environment(**self.env(user)),
        )

    def openstack(
        self, user: str, *arguments: str, timeout: float = DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        """Run the openstack command as a user, in a pipe.

        :param timeout: in seconds
        """
        return subprocess.run(
            [wsgi.program('openstack'), *arguments],
            env=wsgi.environment(**self.env(user)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
