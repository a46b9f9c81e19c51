# SPDX-License-Identifier: Apache-2.0
"""How the command line logs: to stderr, with request ids."""

import logging
import sys

from glance_rawstore import tracing
from glance_rawstore import wording

_FORMAT = '%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s'


class _Request(logging.Filter):
    """Adds the id of the request that a line is about, or a dash."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = wording.printable(tracing.request_id() or '-')
        return True


def begin(level: int) -> None:
    """Log to stderr from now on, at this level and above."""
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Request())
    logging.basicConfig(level=level, handlers=[handler], format=_FORMAT)
