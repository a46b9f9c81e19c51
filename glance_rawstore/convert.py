# SPDX-License-Identifier: Apache-2.0
"""The edge to qemu-img: one runner that no call can get around.

It always names format and protocol, always limits address space and CPU
time, always ties the child's life to ours, and can always be stopped. A hash
is computed by a child as well: one that gives way to others as qemu-img does.
A thread that did would hold Python's lock now and then while it waits for the
processor, and all others with it.
"""

import dataclasses
import json
import logging
import math
import os
import re
import signal
from collections.abc import Callable
from typing import Any

from oslo_concurrency import processutils

from glance_rawstore import child
from glance_rawstore import exceptions
from glance_rawstore import nodes

LOG = logging.getLogger(__name__)

#: Exit codes of what qemu-img is put behind, when it cannot run it.
_NOT_STARTED = frozenset({126, 127})
_WRAPPERS = ('chrt:', 'ionice:', 'nice:', 'prlimit:', 'setpriv:')
#: glibc reserves 64 MiB of address space for each of eight arenas a core;
#: on a large machine that alone would reach the limit.
_ENVIRONMENT = {'LC_ALL': 'C', 'MALLOC_ARENA_MAX': '4'}
#: Counts for more than ceph.conf, and is Ceph's default. With false, librbd
#: keeps writes until a flush, and qemu-img 7.2 ends with 0 when its last one
#: fails (seen with blkdebug). Our nodes have no cache, but ``rbd config`` of a
#: pool can still give them one.
_WRITE_THROUGH = '--rbd_cache_writethrough_until_flush=true'

#: Zeros among data are left out in blocks of so many bytes, and written where
#: they are fewer. With qemu's own 4 KiB, a disk with as many zeros in every
#: 16 KiB takes 20 times as many requests, and 10 times as long. As large as a
#: cluster of qcow2, so that no copy takes more space than its original says
#: that it has data for (Slice.data, admission).
ZEROS = 64 << 10

_IDENTICAL = 'Images are identical'
_MISMATCH = re.compile(r'Content mismatch at offset (\d+)')


#: What hashes, by hashlib's name of the algorithm (coreutils).
HASHES = {
    **{name: f'{name}sum' for name in ('md5', 'sha1', 'sha224', 'sha256')},
    **{name: f'{name}sum' for name in ('sha384', 'sha512')},
    'blake2b': 'b2sum',
}


@dataclasses.dataclass(frozen=True)
class Info:
    """What qemu-img says of a source; sizes in bytes."""

    virtual_size: int
    allocated: int


class QemuImg:
    """qemu-img with its limits.

    :param limits: for every process
    """

    def __init__(self, limits: child.Limits) -> None:
        self._limits = limits

    def info(self, source: nodes.Node, size: int | None = None) -> Info:
        """Virtual size and allocated data of a source.

        Allocated is from ``measure``: what a qcow2 copy would need, less the
        metadata it would have. Rounded up to clusters of 64 KiB.

        :param size: virtual size in bytes, if it is known, which saves a
            child; of a disk that is smaller qemu-img says that it is
        :raises ConversionFailed: qemu-img cannot read the source
        """
        if size is not None:
            return Info(size, self.allocated(source, 0, size))
        node = nodes.as_json(source)
        measured = self._ask('measure', '-O', 'qcow2', node)
        size = int(self._ask('info', node)['virtual-size'])
        return Info(size, _data(measured, size))

    def allocated(self, source: nodes.Node, offset: int, length: int) -> int:
        """Allocated data of a part of a source, as in :meth:`info`.

        :param offset: in bytes
        :param length: in bytes
        :raises ConversionFailed: qemu-img cannot read the source
        """
        part = nodes.as_json(nodes.window(source, offset, length))
        return _data(self._ask('measure', '-O', 'qcow2', part), length)

    def _ask(self, command: str, *args: str) -> dict[str, Any]:
        out = self._run((command, '--output=json', *args), child.Callbacks())
        answer: dict[str, Any] = json.loads(out)
        return answer

    def convert(
        self,
        source: nodes.Node,
        target: nodes.Node,
        requests: int,
        calls: child.Callbacks,
        window: tuple[int, int] | None = None,
    ) -> None:
        """Write a source's guest data to an existing, empty raw target.

        :param target: protocol node of the target, as large as the source
        :param requests: requests under way at once, 1 to 16
        :param window: offset and length in bytes of what to write; None for
            all of it
        :raises Stalled: no progress for too long
        :raises NoSpace: the target is full
        :raises ConversionFailed: qemu-img failed
        :raises Exception: what ``calls.stop`` returned
        """
        target_node: nodes.Node = {'driver': 'raw', 'file': target}
        if window is not None:
            source = nodes.window(source, *window)
            target_node = nodes.window(target, *window)
        self._run(
            (
                'convert',
                '-p',
                '-n',
                '--target-is-zero',
                '-W',
                '-m',
                str(requests),
                '-S',
                str(ZEROS),
                '--target-image-opts',
                nodes.as_json(source),
                nodes.as_options(target_node),
            ),
            calls,
        )

    def compare(
        self, one: nodes.Node, other: nodes.Node, calls: child.Callbacks
    ) -> int | None:
        """Compare what the guests of two disks of one size would see.

        :returns: where the first difference was found, in bytes; None when
            there is none
        :raises Stalled: no progress for too long
        :raises ConversionFailed: qemu-img cannot read one of them
        :raises Exception: what ``calls.stop`` returned
        """
        sides = nodes.as_json(one), nodes.as_json(other)
        # 1: they differ; 2 and above: an error (qemu-img(1))
        said = self._run(('compare', '-p', *sides), calls, (0, 1))
        different = _MISMATCH.search(said)
        if different is not None:
            return int(different[1])
        if _IDENTICAL in said:
            return None
        LOG.error('qemu-img compare ended saying: %s', said.strip()[-2000:])
        raise exceptions.ConversionFailed('They could not be compared.')

    def _run(
        self,
        args: tuple[str, ...],
        calls: child.Callbacks,
        good: tuple[int, ...] = (0,),
    ) -> str:
        return _run(('qemu-img', *args), self._limits, calls, good)


def digest(
    path: str,
    algorithm: str,
    limits: child.Limits,
    stop: Callable[[], Exception | None],
) -> str:
    """Hash of a file in hex, as hashlib tells it.

    :param algorithm: one of :data:`HASHES`
    :param stop: as in :class:`child.Callbacks`
    :raises ConversionFailed: it cannot be read
    :raises Exception: what ``stop`` returned
    """
    # It tells nothing before its end, so it cannot be seen to stall.
    patient = dataclasses.replace(limits, stall=math.inf)
    calls = child.Callbacks(stop=stop)
    return _run((HASHES[algorithm], '--', path), patient, calls).split()[0]


def _run(
    command: tuple[str, ...],
    limits: child.Limits,
    calls: child.Callbacks,
    good: tuple[int, ...] = (0,),
) -> str:
    """Run a child; what it wrote to stdout."""
    watch = child.Watch(limits.stall, calls)
    try:
        processutils.execute(
            *child.within(limits),
            *command,
            check_exit_code=good,
            env_variables=_environment(),
            on_execute=watch.start,
            on_completion=watch.finish,
        )
    except processutils.ProcessExecutionError as exc:
        raise watch.why() or _failed(command, exc) from exc
    except OSError as exc:
        LOG.error('%s cannot be started: %s', command[0], exc)
        raise exceptions.ConversionFailed(
            'The conversion program could not be started.'
        ) from exc
    return watch.output


def _environment() -> dict[str, str]:
    given = os.environ.get('CEPH_ARGS', '')
    ceph = f'{given} {_WRITE_THROUGH}'.strip()
    return {**os.environ, **_ENVIRONMENT, 'CEPH_ARGS': ceph}


def _data(measured: dict[str, Any], size: int) -> int:
    """Bytes of data, of what ``measure -O qcow2`` says of so many bytes."""
    cluster = 65536
    rounded = -(-size // cluster) * cluster
    metadata = int(measured['fully-allocated']) - rounded
    return max(0, int(measured['required']) - metadata)


def _failed(
    command: tuple[str, ...],
    exc: processutils.ProcessExecutionError,
) -> exceptions.ConversionFailed:
    """Put a child's failure into a sentence; the details go to the log."""
    code, stderr = exc.exit_code, str(exc.stderr)
    said = stderr.strip()[-2000:]
    LOG.warning('%s ended with %s: %s', command[0], code, said)
    if 'No space left' in stderr or 'Disk quota exceeded' in stderr:
        return exceptions.NoSpace()
    if 'transport endpoint shutdown' in stderr:  # ESHUTDOWN of its own client
        return exceptions.Blocklisted()
    if code in _NOT_STARTED or stderr.startswith(_WRAPPERS):
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
    what = 'The image could not be converted; its data may be damaged.'
    if command[1] == 'compare':
        what = 'The copy and its original could not be compared.'
    return exceptions.ConversionFailed(what, said.rpartition('\n')[2])
