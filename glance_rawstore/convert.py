# SPDX-License-Identifier: Apache-2.0
"""The edge to qemu-img: one runner that no call can get around.

It always names format and protocol, always limits address space and CPU
time, always ties the child's life to ours, and can always be stopped.
"""

import dataclasses
import io
import json
import logging
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from typing import Any

from oslo_concurrency import processutils

from glance_rawstore import exceptions

LOG = logging.getLogger(__name__)

#: Formats whose qemu driver knows backing files and must be told of none.
_COPY_ON_WRITE = frozenset({'qcow2', 'vmdk'})
_PROGRESS = re.compile(rb'\((\d+(?:\.\d+)?)/100%\)')
#: Seconds between looks at whether a conversion shall stop.
_WATCH = 0.5
#: Exit codes of prlimit and setpriv when they cannot run what they should.
_NOT_STARTED = frozenset({126, 127})
#: Seconds that a thread which may wait for an answer is itself waited for.
_JOIN = 5.0
#: Seconds of CPU time between SIGXCPU, which ends qemu-img, and SIGKILL.
_CPU_GRACE = 10
#: Seconds without progress after which, and between which, ``full`` is
#: asked.
_ASK_FULL = 5.0

#: glibc reserves 64 MiB of address space for each of eight arenas a core;
#: on a large machine that alone would reach the limit.
_ENVIRONMENT = {'LC_ALL': 'C', 'MALLOC_ARENA_MAX': '4'}

Node = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one child process may use.

    :param address_space: in bytes
    :param cpu_time: in seconds
    :param stall: in seconds without any progress
    """

    address_space: int
    cpu_time: int
    stall: float = 300.0


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


@dataclasses.dataclass(frozen=True)
class Info:
    """What qemu-img says of a source; sizes in bytes."""

    virtual_size: int
    allocated: int


def source_node(driver: str, protocol: Node) -> Node:
    """Block node of a source image: format over protocol, no backing file.

    :param driver: qemu's name of the format
    :param protocol: the protocol node below, with its own driver
    """
    node: Node = {'driver': driver, 'file': protocol, 'read-only': True}
    if driver in _COPY_ON_WRITE:
        node['backing'] = None
    return node


def rbd_node(
    pool: str,
    image: str,
    conf_file: str,
    user: str | None,
    snapshot: str | None = None,
) -> Node:
    """Protocol node of an RBD image."""
    node: Node = {'driver': 'rbd', 'pool': pool, 'image': image}
    optional = {'conf': conf_file, 'user': user, 'snapshot': snapshot}
    return node | {k: v for k, v in optional.items() if v}


def _within(limits: Limits) -> tuple[str, ...]:
    """What a command is put behind to be limited, and to die with us.

    util-linux's programs, since oslo's own wrapper of limits would start a
    Python each time (0.1 s), and under uWSGI be told where to find one.
    """
    cpu = limits.cpu_time
    return (
        'prlimit',
        f'--as={limits.address_space}',
        # Told first by SIGXCPU, so that it is not taken for any other kill.
        f'--cpu={cpu}:{cpu + _CPU_GRACE}',
        '--core=0',
        # dies with the thread that started it, so with our process
        'setpriv',
        '--pdeathsig=KILL',
    )


class QemuImg:
    """qemu-img with its limits.

    :param limits: for every process
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits

    def info(self, source: Node) -> Info:
        """Virtual size and allocated data of a source.

        Allocated is from ``measure``: what a qcow2 copy would need, less the
        metadata it would have. Rounded up to clusters of 64 KiB.

        :raises ConversionFailed: qemu-img cannot read the source
        """
        node = _json(source)
        measured = self._ask('measure', '-O', 'qcow2', node)
        size = self._ask('info', node)['virtual-size']
        cluster = 65536
        rounded = -(-size // cluster) * cluster
        metadata = measured['fully-allocated'] - rounded
        return Info(size, max(0, measured['required'] - metadata))

    def _ask(self, command: str, *args: str) -> dict[str, Any]:
        out = self._run((command, '--output=json', *args), Callbacks())
        answer: dict[str, Any] = json.loads(out)
        return answer

    def convert(
        self, source: Node, target: Node, requests: int, calls: Callbacks
    ) -> None:
        """Write a source's guest data to an existing, empty raw target.

        :param target: protocol node of the target, as large as the source
        :param requests: requests under way at once, 1 to 16
        :raises Stalled: no progress for too long
        :raises NoSpace: the target is full
        :raises ConversionFailed: qemu-img failed
        :raises Exception: what ``calls.stop`` returned
        """
        target_node: Node = {'driver': 'raw', 'file': target}
        self._run(
            (
                'convert',
                '-p',
                '-n',
                '--target-is-zero',
                '-W',
                '-m',
                str(requests),
                '--target-image-opts',
                _json(source),
                _options(target_node),
            ),
            calls,
        )

    def _run(self, args: tuple[str, ...], calls: Callbacks) -> str:
        watch = _Watch(self._limits.stall, calls)
        try:
            out, _err = processutils.execute(
                *_within(self._limits),
                'qemu-img',
                *args,
                env_variables={**os.environ, **_ENVIRONMENT},
                on_execute=watch.start,
                on_completion=watch.finish,
            )
        except processutils.ProcessExecutionError as exc:
            raise watch.why() or _failed(exc) from exc
        except OSError as exc:
            LOG.error('qemu-img cannot be started: %s', exc)
            raise exceptions.ConversionFailed(
                'The conversion program could not be started.'
            ) from exc
        return watch.output if '-p' not in args else str(out)


def _json(node: Node) -> str:
    return 'json:' + json.dumps(node)


def _options(node: Node, prefix: str = '') -> str:
    """A node as ``--target-image-opts`` wants it; commas are doubled."""
    pairs = []
    for key, value in node.items():
        if isinstance(value, dict):
            pairs.append(_options(value, f'{prefix}{key}.'))
        else:
            escaped = str(value).replace(',', ',,')
            pairs.append(f'{prefix}{key}={escaped}')
    return ','.join(pairs)


def _failed(
    exc: processutils.ProcessExecutionError,
) -> exceptions.ConversionFailed:
    """Put a qemu-img failure into a sentence; the details go to the log."""
    code, stderr = exc.exit_code, str(exc.stderr)
    LOG.warning('qemu-img ended with %s: %s', code, stderr.strip()[-2000:])
    if 'No space left' in stderr or 'Disk quota exceeded' in stderr:
        return exceptions.NoSpace()
    if code in _NOT_STARTED or stderr.startswith(('prlimit:', 'setpriv:')):
        return exceptions.ConversionFailed(
            'The conversion program could not be started.'
        )
    if code == -signal.SIGKILL:
        return exceptions.ConversionFailed(
            'The conversion was killed, most likely because its host ran '
            'short of memory.'
        )
    if code == -signal.SIGXCPU:
        return exceptions.ConversionFailed(
            'The conversion used more CPU time than is allowed for an image '
            'of this size.'
        )
    if 'annot allocate memory' in stderr or code == -signal.SIGABRT:
        return exceptions.ConversionFailed(
            'The conversion needed more memory than is allowed.'
        )
    return exceptions.ConversionFailed(
        'The image could not be converted; its data may be damaged.'
    )


class _Watch:
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

    def start(self, process: 'subprocess.Popen[bytes]') -> None:
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

    def finish(self, _process: 'subprocess.Popen[bytes]') -> None:
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
                else:
                    self._collected.append(data)

    def _advance(self, done: float) -> None:
        if done > self._done:
            self._done = done
            self._moved_at = time.monotonic()
            self._calls.progress(done)

    def _watch(self, process: 'subprocess.Popen[bytes]') -> None:
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

    def _ask(self, _process: 'subprocess.Popen[bytes]') -> None:
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
