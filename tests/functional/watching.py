# SPDX-License-Identifier: Apache-2.0
"""Note every run of qemu-img, and hold one of them, from outside.

A program of that name, found first, notes its arguments and goes on as the
real one. It holds what is to be held before that has opened anything.
"""

import json
import os
import shutil
from pathlib import Path

_PROGRAM = """#!/bin/sh
# {real} that can be watched
printf '%s\\n' "$*" >> {directory}/runs
cd {directory} || exit 1
if [ "$1" = convert ] && [ -e hold ]
then
    if [ "$(grep -c '^convert' runs)" -gt "$(cat hold)" ]
    then
        touch held
        while [ -e hold ]; do sleep 0.05; done
    fi
fi
exec {real} "$@"
"""


class Watched:
    """The qemu-img of all processes that are started with :attr:`path`.

    :param directory: an empty one
    """

    def __init__(self, directory: Path) -> None:
        real = shutil.which('qemu-img')
        assert real is not None
        self._directory = directory
        program = directory / 'qemu-img'
        program.write_text(_PROGRAM.format(real=real, directory=directory))
        program.chmod(0o755)
        self.path = f'{directory}:{os.environ["PATH"]}'

    def hold_after(self, count: int) -> None:
        """Hold every conversion but for the first ones."""
        (self._directory / 'hold').write_text(str(count))

    @property
    def held(self) -> bool:
        """Whether one was held."""
        return (self._directory / 'held').exists()

    def forget(self) -> None:
        """As if nothing had run."""
        self.let_go()
        (self._directory / 'runs').write_text('')

    def let_go(self) -> None:
        """Hold no more."""
        for name in ('hold', 'held'):
            (self._directory / name).unlink(missing_ok=True)

    def converted(self) -> list[tuple[int, int]]:
        """Offset and length of each slice that was begun, in that order."""
        found = []
        for line in (self._directory / 'runs').read_text().splitlines():
            if line.startswith('convert'):
                node, _ = json.JSONDecoder().raw_decode(
                    line[line.index('json:') + len('json:') :]
                )
                found.append((node['offset'], node['size']))
        return found
