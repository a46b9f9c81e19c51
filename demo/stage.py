# SPDX-License-Identifier: Apache-2.0
"""What the story is played on: a cluster, a cloud, and people with shells.

All of it is on 127.0.0.1 and in temporary directories, and goes with it.
"""

from __future__ import annotations

import contextlib
import os
import sysconfig
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from demo.screen import Screen
from demo.shell import Shell
from tests.cloud import Cloud
from tests.cloud import config
from tests.cluster import Cluster

IMAGES = 'images'
RAW = 'images_raw'
VOLUMES = 'volumes'

# As the documentation advises. Glance reads the volumes' names only so that
# glance-rawstore can say which clones there are.
GLANCE_CAPS = {
    'mon': 'profile rbd',
    'osd': f'profile rbd pool={IMAGES}, profile rbd pool={RAW}, '
    f'profile rbd-read-only pool={VOLUMES}',
}
CINDER_CAPS = {
    'mon': 'profile rbd',
    'osd': f'profile rbd pool={VOLUMES}, profile rbd-read-only pool={RAW}',
}

_OPTIONS = {
    'DEFAULT': {
        # Its log is shown when something fails, so it should be readable.
        'debug': False,
        # Glance's defaults, which tell nobody of locations
        'show_image_direct_url': False,
        'show_multiple_locations': False,
    }
}


class Stage:
    """Everything that is put up, and taken down again in any case."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._stack = contextlib.ExitStack()
        self._cloud: Cloud | None = None
        self._sessions: dict[str | None, Any] = {}

    def __enter__(self) -> Stage:
        made = tempfile.TemporaryDirectory(prefix='glance-rawstore-demo-')
        self.directory = Path(self._stack.enter_context(made))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    # Putting it up --------------------------------------------------------

    def start_ceph(self) -> None:
        """Start the cluster, with Cinder's pool and user."""
        self.cluster = self._stack.enter_context(Cluster())
        self.cluster.create_pool(VOLUMES)
        self.cluster.user('cinder', CINDER_CAPS)

    def start_cloud(self) -> None:
        """Start Keystone and Glance."""
        cloud = Cloud(self.cluster, _OPTIONS, filters=config.RAW_VIEW)
        self._cloud = self._stack.enter_context(cloud)
        self.cluster.user('glance', GLANCE_CAPS)

    @property
    def cloud(self) -> Cloud:
        """Keystone and Glance."""
        assert self._cloud is not None
        return self._cloud

    def log(self) -> str:
        """All that Glance has logged; empty if it was never up."""
        return self._cloud.log() if self._cloud else ''

    # Its people -----------------------------------------------------------

    def client(self, user: str, service: str | None = None) -> Any:
        """A user's client of Glance's v2 API.

        :param service: who acts for the user, with a service token
        """
        return self.cloud.client(user, service)

    def get(
        self,
        path: str,
        service: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """What Glance answers to Alice; other parameters as of Play.view.

        :param path: of the API, with its version
        """
        session = self._sessions.get(service)
        if session is None:
            session = self.cloud.keystone.session('alice', service)
            self._sessions[service] = session
        url = f'{self.cloud.catalog_url}{path}'
        answer: dict[str, Any] = session.get(url, headers=headers).json()
        return answer

    def shell(self, user: str) -> Shell:
        """A shell of somebody; only some are known to Keystone."""
        variables = {**_plain_environment(), **self.variables(user)}
        return Shell(self._screen, user, self.directory, variables)

    def variables(self, user: str) -> dict[str, str]:
        """What a user's shell has, on top of any other's."""
        path = [sysconfig.get_path('scripts'), os.environ.get('PATH', '')]
        # mkfs.ext4 is not on everybody's
        variables = {'PATH': ':'.join([*path, '/usr/sbin', '/sbin'])}
        if user != 'you':
            variables |= {
                'CEPH_CONF': str(self.cluster.conf),
                **self.cloud.env(user),
            }
        if user == 'admin':
            # where glance-rawstore finds Glance's configuration
            variables['OS_GLANCE_CONFIG_DIR'] = str(self.cloud.directory)
        return variables


def _plain_environment() -> dict[str, str]:
    """This process's, without a language or a cloud of the caller's own."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(('OS_', 'LC_', 'LANG', 'CEPH_', 'PYTHON'))
    }
    return {**kept, 'LC_ALL': 'C.UTF-8', 'PYTHONWARNINGS': 'ignore'}
