# SPDX-License-Identifier: Apache-2.0
"""A Glance whose API has two pipelines, with the raw view and without it.

In one process, since two processes that run the same code differ by a tenth
or more for as long as they live (seen: 854 and 990 ms for the same list).
"""

from __future__ import annotations

import re

from tests.cloud import Cloud
from tests.cloud import config

#: What the path of a request without the raw view begins with.
PLAIN = '/plain'


class TwoPipelines(Cloud):
    """A cloud; its clients are answered with the raw view."""

    def configure(self, overrides: config.Options | None = None) -> None:
        """As Cloud's."""
        super().configure(overrides)
        paste = self.directory / 'glance-api-paste.ini'
        paste.write_text(
            _both(config.pipeline(config.RAW_VIEW), config.pipeline({}))
        )


def _both(filtered: str, plain: str) -> str:
    """The first one, with the other one's pipeline under its own path."""
    found = re.search(r'(?m)^keystone = .*$', plain)
    if found is None:
        raise LookupError('glance-api-paste.ini has other pipelines')
    rooted = re.sub(r'(?m)^/: api$', rf'\g<0>\n{PLAIN}: plain', filtered)
    return (
        f'{rooted}\n[composite:plain]\n'
        f'paste.composite_factory = glance.api:pipeline_factory\n{found[0]}\n'
    )
