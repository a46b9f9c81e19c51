# SPDX-License-Identifier: Apache-2.0
"""Start, await and stop processes, each with a deadline.

pifpaf's own ``_exec`` waits for a line or for the end of a process for
ever, so a daemon that hangs would hang the tests with it. Shared by
tests.cluster and tests.cloud.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import psutil
import tenacity

from tests.waiting import DEADLINE

TAIL_LINES = 60


class ProcessError(RuntimeError):
    """A command failed or took too long, or a daemon did not get ready."""


def run(
    command: Sequence[str],
    timeout: float = DEADLINE,
    env: Mapping[str, str] | None = None,
) -> str:
    """Run a command to its end and return what it wrote to stdout.

    :param timeout: in seconds; the command is killed after that
    :param env: the whole environment; this process's own if None
    :raises ProcessError: on another exit code than 0 or after the timeout,
        with what the command wrote
    """
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            env=env,
        )
    except subprocess.TimeoutExpired as error:
        reason = f'not done after {timeout:g} s'
        written = (error.stdout or b'') + (error.stderr or b'')
    else:
        if done.returncode == 0:
            return done.stdout.decode()
        reason = f'exit code {done.returncode}'
        written = done.stdout + done.stderr
    raise ProcessError(
        f'{" ".join(command)}: {reason}\n{written.decode(errors="replace")}'
    )


#: Ports that were given away, until this process ends.
_reserved: list[socket.socket] = []


def free_port() -> int:
    """Return a TCP port at 127.0.0.1 that nobody has, nor will be given.

    Taken from below Linux's range of ephemeral ports (32768 and up), so
    that no outgoing connection takes it before the daemon does. Nor is it
    given to anybody else, be it by another process: a socket of ours stays
    bound to it, beside which a daemon may listen that reuses addresses, as
    all of them do.
    """
    while True:
        port = random.randrange(20000, 32000)
        held = socket.socket()
        try:
            held.bind(('127.0.0.1', port))
        except OSError:
            held.close()
            continue
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _reserved.append(held)
        return port


def is_free(port: int) -> bool:
    """Tell whether one could listen there.

    Neither old connections matter nor that it was reserved.
    """
    with socket.socket() as probe, contextlib.suppress(OSError):
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(('127.0.0.1', port))
        probe.listen()
        return True
    return False


def is_listening(port: int) -> bool:
    """Tell whether something accepts connections at 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(('127.0.0.1', port)) == 0


def wait_for(condition: Callable[[], bool], seconds: float) -> bool:
    """Ask ten times a second; tell whether it became true in time."""
    retry = tenacity.Retrying(
        retry=tenacity.retry_if_result(lambda true: not true),
        stop=tenacity.stop_after_delay(seconds),
        wait=tenacity.wait_fixed(0.1),
        retry_error_callback=lambda _: False,
    )
    return bool(retry(condition))


class Daemon:
    """A process in the foreground, in a process group of its own.

    It is killed when the thread that started it ends, so that a killed test
    run leaves nothing behind: start daemons from a thread that outlives them.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Start it.

        :param name: used in errors
        :param log: its stdout and stderr are appended here; a daemon that
            writes its own log should write it to the same file
        """
        self.name = name
        self.log = log
        self._gone = False
        with log.open('ab') as output:
            self._process = subprocess.Popen(
                ['setpriv', '--pdeathsig', 'KILL', '--', *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=env,
            )

    @property
    def pid(self) -> int:
        """Process id, and id of the process group."""
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def tail(self) -> str:
        """Return the last lines of the log."""
        text = self.log.read_text(errors='replace')
        return '\n'.join(text.splitlines()[-TAIL_LINES:])

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Ask `ready` ten times a second until it says yes.

        :raises ProcessError: with the tail of the log, if the daemon ends or
            is still not ready after so many seconds
        """
        if not wait_for(lambda: ready() or not self.running, seconds):
            self._fail(f'not ready after {seconds:g} s')
        if not self.running:
            self._fail(f'ended with code {self._process.returncode}')

    def wait(self, seconds: float) -> int:
        """Wait for its end and return its exit code.

        :raises ProcessError: with the tail of the log, if it still runs
        """
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self._fail(f'still running after {seconds:g} s')

    def _fail(self, reason: str) -> NoReturn:
        raise ProcessError(f'{self.name}: {reason}\n{self.tail()}')

    def signal(self, number: int) -> None:
        """Send a signal to the daemon and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def stop(self, seconds: float = DEADLINE) -> None:
        """Ask it to end, and kill what is left of it after that."""
        if self.running:
            # Not the whole group: uWSGI's workers take orders from its
            # master, and would be started again by it.
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def kill(self) -> None:
        """Kill it and its children, and wait until they hold nothing more.

        :raises ProcessError: if one of them is still there after a while
        """
        if self._gone:
            # Its id may be somebody else's by now.
            return
        group = _group(self.pid)
        self.signal(signal.SIGKILL)
        self._process.wait()
        if not wait_for(lambda: not any(map(_is_alive, group)), DEADLINE):
            self._fail('survives SIGKILL')
        self._gone = True


def _group(number: int) -> list[psutil.Process]:
    """Return the processes of a process group."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(ProcessLookupError):
            if os.getpgid(process.pid) == number:
                found.append(process)
    return found


def _is_alive(process: psutil.Process) -> bool:
    # One that nobody has reaped has closed its files and ports already.
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
