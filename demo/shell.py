# SPDX-License-Identifier: Apache-2.0
"""Runs the very commands that are shown, and shows what they write."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rich import text

from demo.checks import Unexpected
from demo.screen import Screen

#: Seconds after which a command is killed.
TIMEOUT = 120


@dataclass(frozen=True)
class Result:
    """What a command did.

    :param output: all that it wrote, without colours
    :param seconds: from its start to its end
    """

    code: int
    output: str
    seconds: float


class Shell:
    """A shell of one user; it is given a terminal to read from.

    The glance command takes any other stdin for the data of an image. On a
    terminal it writes to one, too, so that colours are as in real life.
    """

    def __init__(
        self,
        screen: Screen,
        user: str,
        directory: Path,
        variables: Mapping[str, str],
    ) -> None:
        """Prepare; nothing is run yet.

        :param user: shown in the prompt
        :param directory: where the commands run
        :param variables: their whole environment
        """
        self._screen = screen
        self._user = user
        self._directory = directory
        self.variables = dict(variables)

    def export(self, name: str, value: str) -> None:
        """Set a variable for what follows, and show that."""
        self._screen.command(self._user, f'export {name}={value}')
        self.variables[name] = value

    def run(self, command: str, *, may_fail: bool = False) -> Result:
        """Show a command, run it, show its output.

        :param may_fail: return, whatever its exit code is
        :raises Unexpected: it failed, or took longer than TIMEOUT
        """
        self._screen.command(self._user, command)
        began = time.monotonic()
        with self._terminal() as (master, slave):
            to_pipe = not self._screen.is_terminal
            process = subprocess.Popen(
                ['bash', '-c', command],
                stdin=slave,
                stdout=subprocess.PIPE if to_pipe else slave,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=self._environment(),
                start_new_session=True,
            )
            os.close(slave)
            source = process.stdout.fileno() if process.stdout else master
            with _killed_late(process):
                output = self._show(source)
                code = process.wait()
        if code != 0 and not may_fail:
            raise Unexpected(f'the command ended with {code}: {command}')
        return Result(code, output, time.monotonic() - began)

    def _environment(self) -> dict[str, str]:
        return {**self.variables, 'COLUMNS': str(self._screen.room)}

    @contextlib.contextmanager
    def _terminal(self) -> Iterator[tuple[int, int]]:
        """A terminal as wide as there is room; its slave is the caller's."""
        master, slave = pty.openpty()
        size = struct.pack('HHHH', 50, self._screen.room, 0, 0)
        fcntl.ioctl(slave, termios.TIOCSWINSZ, size)
        try:
            yield master, slave
        finally:
            os.close(master)

    def _show(self, source: int) -> str:
        """Show lines as they come; return them all, without colours."""
        lines = []
        for written in _lines(source):
            line = written.rstrip('\r')
            plain = text.Text.from_ansi(line).plain
            lines.append(plain)
            self._screen.output(line)
        return '\n'.join(lines)


def _lines(source: int) -> Iterator[str]:
    rest = b''
    # A terminal whose other side is closed answers with an error.
    with contextlib.suppress(OSError):
        while data := os.read(source, 65536):
            *lines, rest = (rest + data).split(b'\n')
            yield from (line.decode(errors='replace') for line in lines)
    if rest:
        yield rest.decode(errors='replace')


@contextlib.contextmanager
def _killed_late(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Kill a process and its children after TIMEOUT, and on any error."""

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(TIMEOUT, kill)
    timer.start()
    try:
        yield
    except BaseException:
        kill()
        process.wait()
        raise
    finally:
        timer.cancel()
