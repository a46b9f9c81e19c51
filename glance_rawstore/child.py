# SPDX-License-Identifier: Apache-2.0
"""A child process: what it may use, and the watch over it while it runs."""

import contextlib
import dataclasses
import functools
import io
import logging
import os
import re
import subprocess
import threading
import time
from collections.abc import Callable
from typing import IO, Any, Protocol

from glance_rawstore import exceptions

LOG = logging.getLogger(__name__)

_PROGRESS = re.compile(rb'\((\d+(?:\.\d+)?)/100%\)')
#: Seconds between looks at whether a conversion shall stop.
_WATCH = 0.5
#: Seconds that a thread which may wait for an answer is itself waited for.
_JOIN = 5.0
#: Seconds of CPU time between SIGXCPU, which ends qemu-img, and SIGKILL.
_CPU_GRACE = 10
#: Seconds without progress after which, and between which, ``full`` is
#: asked.
_ASK_FULL = 5.0
#: Puts a command under the policy for what may wait (util-linux).
_IDLE = ('chrt', '--idle', '0')
#: The nice value of what may wait, where that policy cannot be had.
_LOWEST = 19


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one child process may use.

    :param address_space: in bytes
    :param cpu_time: in seconds
    :param stall: in seconds without any progress
    :param nice: of processor time, 0 (as ourselves) to 19 (gives way most)
    :param idle: only what nobody else wants of it; where the kernel refuses
        that, ``nice``, or 19 if that is 0
    :param io_class: of ``ionice``, and the level in it; None for our own
    """

    address_space: int
    cpu_time: int
    stall: float = 300.0
    nice: int = 0
    idle: bool = False
    io_class: tuple[str, ...] | None = None


@dataclasses.dataclass(frozen=True)
class Callbacks:
    """How a running conversion talks to its caller, from other threads.

    :param progress: called with the part done, 0.0 to 1.0
    :param stop: an exception to give up with, or None to go on; asked twice
        a second
    :param full: whether the target is known to be full; asked only when
        there is no progress
    """

    progress: Callable[[float], None] = lambda done: None
    stop: Callable[[], Exception | None] = lambda: None
    full: Callable[[], bool] = lambda: False


class Process(Protocol):
    """What is used of ``subprocess.Popen``."""

    stdout: IO[bytes] | None

    def kill(self) -> None:
        """End it at once."""


def within(limits: Limits) -> tuple[str, ...]:
    """What a command is put behind to be limited, and to die with us.

    util-linux's programs, since oslo's own wrapper of limits would start a
    Python each time (0.1 s), and under uWSGI be told where to find one.
    """
    cpu = limits.cpu_time
    return (
        # Dies with the thread that started it, so with our process. First,
        # since each of the others may take long to start once it gives way;
        # what it sets stays with what it executes.
        'setpriv',
        '--pdeathsig=KILL',
        *_giving_way(limits),
        'prlimit',
        f'--as={limits.address_space}',
        # Told first by SIGXCPU, so that it is not taken for any other kill.
        f'--cpu={cpu}:{cpu + _CPU_GRACE}',
        '--core=0',
    )


@functools.cache
def may_idle() -> bool:
    """Whether SCHED_IDLE can be had here, as it should by anybody.

    What filters system calls may refuse it, and chrt fails then, other than
    nice and ionice. Tried once, by a child: a thread of ours would hold
    Python's lock while it waits for a core.
    """
    had = False
    with contextlib.suppress(OSError):  # there is no chrt
        command = (*_IDLE, 'true')
        tried = subprocess.run(command, capture_output=True, check=False)
        had = tried.returncode == 0
    if not had:
        LOG.warning('SCHED_IDLE cannot be had here; nice is used instead.')
    return had


def _giving_way(limits: Limits) -> tuple[str, ...]:
    """What lowers priorities; who may not do so works on with his own."""
    found: tuple[str, ...] = ()
    if limits.idle and may_idle():
        found += _IDLE
    elif limits.idle or limits.nice:
        found += ('nice', '-n', str(limits.nice or _LOWEST))
    if limits.io_class is not None:
        found += ('ionice', '--ignore', *limits.io_class)
    return found


class Watch:
    """Watches one child: reads its progress, stops it when told to."""

    def __init__(self, stall: float, calls: Callbacks) -> None:
        self._stall = stall
        self._calls = calls
        self._done = 0.0
        self._moved_at = self._asked_at = time.monotonic()
        self._ended = threading.Event()
        self._threads: list[threading.Thread] = []
        self._collected: list[bytes] = []
        self.reason: Exception | None = None

    @property
    def output(self) -> str:
        """What the child wrote to stdout."""
        return b''.join(self._collected).decode()

    def start(self, process: Process) -> None:
        """Take over stdout, so that progress is read as it comes.

        ``execute`` goes on to read from an empty pipe in its place.
        """
        stdout = process.stdout
        process.stdout = _empty_pipe()
        for target, arg in (
            (self._read, stdout),
            (self._watch, process),
            (self._ask, process),
        ):
            thread = threading.Thread(target=target, args=(arg,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def why(self) -> Exception | None:
        """Why the child was stopped, or would have been by now.

        A source that is being deleted fails before anybody was asked.
        """
        if self.reason is not None:
            return self.reason
        try:
            return self._calls.stop()
        except Exception as exc:
            LOG.warning('Cannot tell why a conversion ended: %s', exc)
            return None

    def finish(self, _process: Process) -> None:
        """The child has ended."""
        self._ended.set()
        for thread in self._threads:
            thread.join(_JOIN)

    def _read(self, stdout: Any) -> None:
        with stdout:
            while data := os.read(stdout.fileno(), 65536):
                found = _PROGRESS.findall(data)
                if found:
                    self._advance(float(found[-1]) / 100)
                rest = _PROGRESS.sub(b'', data)
                if rest.strip():
                    self._collected.append(rest)

    def _advance(self, done: float) -> None:
        if done > self._done:
            self._done = done
            self._moved_at = time.monotonic()
            self._calls.progress(done)

    def _watch(self, process: Process) -> None:
        """Stop the child; asks nobody, so that nothing can hold it up."""
        while not self._ended.wait(_WATCH):
            still = time.monotonic() - self._moved_at
            if self.reason is None and still > self._stall:
                self.reason = exceptions.Stalled(
                    f'The conversion made no progress for {still:.0f} s.'
                )
            if self.reason is not None:
                process.kill()
                return

    def _ask(self, _process: Process) -> None:
        """Ask whether to go on; a cluster that is away gives no answer."""
        while not self._ended.wait(_WATCH) and self.reason is None:
            try:
                answer = self._calls.stop() or self._full()
                self.reason = self.reason or answer
            except Exception as exc:
                # Not knowing is no reason to stop; nor to stop asking.
                LOG.warning('Cannot tell whether to go on: %s', exc)

    def _full(self) -> Exception | None:
        now = time.monotonic()
        if min(now - self._moved_at, now - self._asked_at) <= _ASK_FULL:
            return None
        self._asked_at = now
        if self._calls.full():
            return exceptions.NoSpace()
        return None


def _empty_pipe() -> io.BufferedReader:
    reader, writer = os.pipe()
    os.close(writer)
    return os.fdopen(reader, 'rb')
