# SPDX-License-Identifier: Apache-2.0
"""Run a command with a throw-away Ceph.

    python -m tests.cluster --pool images -- rbd --pool images ls

CEPH_CONF is set for the command; its exit code is returned. The cluster goes
when the command ends, and on SIGINT and SIGTERM.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

from tests.cluster import Cluster

# in seconds, for a command to end after SIGTERM
GRACE = 10


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    # as a shell reports a command ended by a signal
    sys.exit(128 + number)


def _run(command: list[str]) -> int:
    child = subprocess.Popen(command)
    try:
        code = child.wait()
        return code if code >= 0 else 128 - code
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(GRACE)
            except subprocess.TimeoutExpired:
                child.kill()


def main() -> int:
    """Parse the command line, run the command, return its exit code."""
    parser = argparse.ArgumentParser(prog='python -m tests.cluster')
    parser.add_argument(
        '--pool', action='append', default=[], help='make this pool first'
    )
    parser.add_argument('command', nargs='+', help='after --')
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    with Cluster() as cluster:
        for pool in arguments.pool:
            cluster.create_pool(pool)
        return _run(arguments.command)


if __name__ == '__main__':
    sys.exit(main())
