# SPDX-License-Identifier: Apache-2.0
"""Leaves the cloud up, and says how to use it."""

from __future__ import annotations

import contextlib
import shlex
import time
from pathlib import Path

from demo.importing import IMPORT
from demo.play import Play

_HINTS = (
    '. ./alice.rc',
    IMPORT,
    'glance image-tasks IMAGE',
    '. ./admin.rc; glance-rawstore list; ceph -s',
)


def keep_up(play: Play) -> None:
    """Wait for Ctrl-C."""
    screen, directory = play.screen, play.stage.directory
    screen.say('The cloud stays up until you press Ctrl-C.', style='bold')
    screen.say(
        'In another terminal, these make you admin, or alice, with everything '
        'on the PATH:'
    )
    for user in ('admin', 'alice'):
        path = _write(directory / f'{user}.rc', play.stage.variables(user))
        screen.command('you', f'. {path}')
        for line in path.read_text().splitlines():
            screen.output(line)
    screen.say('Things to try:')
    for hint in (f'cd {directory}', *_HINTS):
        screen.command('you', hint)
    with contextlib.suppress(KeyboardInterrupt):
        while True:
            time.sleep(3600)


def _write(path: Path, variables: dict[str, str]) -> Path:
    scripts, _ = variables.pop('PATH').split(':', 1)
    lines = [
        f'export {name}={shlex.quote(value)}'
        for name, value in variables.items()
    ]
    lines.append(f'export PATH={shlex.quote(scripts)}:"$PATH"')
    path.write_text('\n'.join(lines) + '\n')
    return path
