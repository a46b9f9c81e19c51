# SPDX-License-Identifier: Apache-2.0
"""What the steps hand on to each other."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from typing import Any

from demo import checks
from demo.facts import Facts
from demo.screen import Screen
from demo.shell import Shell
from demo.stage import Stage
from tests.cloud import wsgi
from tests.processes import run

#: The tenant's file, and the volume made of it.
FILE = 'server.qcow2'
VOLUME = 'volumes/volume-1'

#: The service that makes it, by its user in Keystone and in Ceph.
SERVICE = 'cinder'


@dataclass
class Play:
    """One run of the demo.

    :param raw_url: where the raw copy is, as a service was told
    :param began: of the import command, in seconds of time.monotonic()
    """

    screen: Screen
    stage: Stage
    facts: Facts = field(default_factory=Facts)
    image_id: str = ''
    task_id: str = ''
    raw_url: str = ''
    began: float = 0.0

    @functools.cached_property
    def alice(self) -> Shell:
        """A tenant."""
        return self.stage.shell('alice')

    @functools.cached_property
    def admin(self) -> Shell:
        """The operator of Glance and Ceph."""
        return self.stage.shell('admin')

    @functools.cached_property
    def cinder(self) -> Shell:
        """Who makes volumes, with Cinder's capabilities in Ceph."""
        return self.stage.shell(SERVICE)

    def image(self) -> Any:
        """The image, as the tenant gets it from Glance."""
        return self.stage.client('alice').images.get(self.image_id)

    def view(
        self,
        service: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """The image as Glance shows it to the tenant, all of the answer.

        :param service: who acts for her, with a service token
        :param headers: that are sent beside the tokens
        """
        return self.stage.get(f'/v2/images/{self.image_id}', service, headers)

    def copies(self) -> list[dict[str, Any]]:
        """All raw copies, as glance-rawstore puts them for programs."""
        told = run(
            (wsgi.program('glance-rawstore'), 'list', '--format', 'json'),
            env=self.admin.variables,
        )
        found: list[dict[str, Any]] = json.loads(told)
        return found

    def expect(self, true: bool, claim: str, seen: Any = None) -> None:
        """Print a claim that is true; see checks.expect."""
        checks.expect(self.screen, true, claim, seen)
