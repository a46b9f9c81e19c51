# SPDX-License-Identifier: Apache-2.0
"""Serve a WSGI application with uWSGI on this machine's loopback."""

from __future__ import annotations

import os
import shlex
import sys
import sysconfig
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

# Without retrying or waiting, so a request that hangs counts as not ready.
PROBE_TIMEOUT = 5

# Put into every service that has its database in SQLite.
IMMEDIATE = Path(__file__).with_name('immediate.py')

# 16 MiB, in bytes. glanceclient and Nova send larger parts than the 1 MB
# that uWSGI accepts by default, and would get HTTP 500 ("unable to receive
# chunked part").
CHUNK_LIMIT = 16777216

# in seconds, between two parts of a request. By default 4: a client that gets
# no processor for so long between head and body loses its connection and is
# given no answer.
SOCKET_TIMEOUT = 60


def program(name: str) -> str:
    """Return the path of a program in this Python's environment."""
    return str(Path(sysconfig.get_path('scripts')) / name)


def uwsgi(
    module: str, port: int, processes: int = 1, threads: int = 4
) -> list[str]:
    """Return the command that serves `module` on 127.0.0.1.

    The options are those of Glance's own advice for uWSGI and DevStack's,
    plus need-app and no-orphans: a broken configuration ends it at once, and
    workers do not outlive their master.

    :param module: of which the attribute `application` is served
    :param processes: workers; each loads the application for itself
    :param threads: per worker, hence requests at once
    """
    return [
        program('uwsgi'),
        f'--http-socket=127.0.0.1:{port}',
        f'--module={module}:application',
        f'--pyimport={IMMEDIATE}',
        f'--virtualenv={sys.prefix}',
        f'--processes={processes}',
        f'--threads={threads}',
        '--master',
        '--enable-threads',
        '--lazy-apps',
        '--need-app',
        '--die-on-term',
        '--no-orphans',
        '--thunder-lock',
        # It closes each connection anyway; a client that is not told so
        # sends its next request into a closed one now and then.
        '--add-header=Connection: close',
        '--http-auto-chunked',
        '--http-chunked-input',
        f'--chunked-input-limit={CHUNK_LIMIT}',
        f'--socket-timeout={SOCKET_TIMEOUT}',
        '--buffer-size=65535',
        '--disable-logging',
    ]


def in_turn(*commands: Sequence[str]) -> list[str]:
    """Return one command that runs these, the last one in its place.

    A daemon and what must be done before it are then one process, whose
    start nobody has to wait for.
    """
    *first, last = (shlex.join(command) for command in commands)
    return ['sh', '-c', ' && '.join([*first, f'exec {last}'])]


def environment(**variables: str) -> dict[str, str]:
    """Return this process's environment for a service, with these added.

    Credentials of a client, if any, stay out of it.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith('OS_')
    }
    # Eventlet's deprecation, at every start, of services that do not use it.
    return {**kept, 'PYTHONWARNINGS': 'ignore', **variables}


def answers(url: str) -> bool:
    """Tell whether a GET of this URL succeeds now."""
    try:
        with urllib.request.urlopen(url, timeout=PROBE_TIMEOUT) as response:
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
