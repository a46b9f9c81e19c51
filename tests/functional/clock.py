# SPDX-License-Identifier: Apache-2.0
"""Put the clock of a process forward, from outside.

Put in as a paste filter into glance-api, and around the command into an
agent. A file says by how many seconds their clocks are ahead; its own is the
only clock that moves: what waits for a time to pass waits as long as ever.
"""

import datetime
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from oslo_utils import timeutils

#: The variable with the path of the file.
VARIABLE = 'TEST_CLOCK'

#: An agent with this in it.
AGENT = (
    sys.executable,
    '-c',
    'import sys; from tests.functional import clock; clock.install(); '
    'from glance_rawstore import cli; sys.exit(cli.main(sys.argv[1:]))',
)

_time = time.time
_utcnow = timeutils.utcnow


def ahead() -> float:
    """By how many seconds the clock is ahead now."""
    try:
        with open(os.environ[VARIABLE]) as file:
            return float(file.read() or 0)
    except FileNotFoundError:
        return 0.0


def install() -> None:
    """Put the clock into this process: Glance's, and the standard library's.

    Both are asked by way of their modules, by Glance and by us.
    """

    def utcnow(with_timezone: bool = False) -> datetime.datetime:
        now: datetime.datetime = _utcnow(with_timezone)
        return now + datetime.timedelta(seconds=ahead())

    timeutils.utcnow = utcnow
    time.time = lambda: _time() + ahead()


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], Any]:
    """A paste filter that does nothing but install the clock."""
    install()
    return lambda app: app
