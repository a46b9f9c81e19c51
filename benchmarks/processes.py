# SPDX-License-Identifier: Apache-2.0
"""What Linux says of processes: memory, children, files being written.

Read from /proc directly, since this is done fifty times a second.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

PROC = Path('/proc')
PAGE = os.sysconf('SC_PAGE_SIZE')
TICKS = os.sysconf('SC_CLK_TCK')

# in bytes; of st_blocks, whatever the file system's own blocks are
BLOCK = 512


def rss(pid: int) -> int:
    """Return a process's resident memory, in bytes; 0 if it is gone."""
    with contextlib.suppress(OSError):
        return int((PROC / f'{pid}/statm').read_text().split()[1]) * PAGE
    return 0


def peak(pid: int) -> int:
    """Return the most it ever had resident, in bytes; 0 if it is gone."""
    return _kib(pid, 'status', 'VmHWM')


def pss(pid: int) -> int:
    """Return its share of resident memory, in bytes; 0 if it is gone.

    Much slower than rss(): the kernel walks all its pages.
    """
    return _kib(pid, 'smaps_rollup', 'Pss')


def _kib(pid: int, file: str, field: str) -> int:
    with contextlib.suppress(OSError):
        text = (PROC / f'{pid}/{file}').read_text()
        if found := re.search(rf'(?m)^{field}:\s+(\d+) kB', text):
            return int(found[1]) * 1024
    return 0


def cpu(pid: int) -> float:
    """Return the seconds of a core that it has used; 0 if it is gone."""
    return _ticks(pid, 11) / TICKS


def cpu_of_threads(pid: int, name: str) -> float:
    """Return what its threads of that name have used, in seconds of a core.

    To the nanosecond, as the scheduler counts it (sched-stats.rst in Linux).
    """
    used = 0
    for thread in PROC.glob(f'{pid}/task/*'):
        with contextlib.suppress(OSError):
            if (thread / 'comm').read_text().strip() == name:
                used += int((thread / 'schedstat').read_text().split()[0])
    return used / 1e9


def cpu_of_children(pid: int) -> float:
    """Return those that its children used which have ended."""
    return _ticks(pid, 13) / TICKS


def _ticks(pid: int, field: int) -> int:
    """Two fields of its state together, counted from the one after its name.

    The name may have spaces (proc(5)).
    """
    with contextlib.suppress(OSError):
        fields = (PROC / f'{pid}/stat').read_text().rpartition(')')[2].split()
        return int(fields[field]) + int(fields[field + 1])
    return 0


def name(pid: int) -> str:
    """Return the name of its program; empty if it is gone."""
    with contextlib.suppress(OSError):
        return (PROC / f'{pid}/comm').read_text().strip()
    return ''


def descendants(pids: Iterable[int]) -> Iterator[int]:
    """Give children, their children, and so on."""
    for pid in pids:
        for file in PROC.glob(f'{pid}/task/*/children'):
            with contextlib.suppress(OSError):
                children = [int(child) for child in file.read_text().split()]
                yield from children
                yield from descendants(children)


def written_files(pid: int) -> Iterator[tuple[str, os.stat_result]]:
    """Give the regular files it has open for writing, deleted ones too."""
    with contextlib.suppress(OSError):
        for number in os.listdir(PROC / f'{pid}/fd'):
            with contextlib.suppress(OSError):
                path = PROC / f'{pid}/fd/{number}'
                found = path.stat()
                if stat.S_ISREG(found.st_mode) and _is_written(pid, number):
                    yield str(path.readlink()), found


def _is_written(pid: int, number: str) -> bool:
    text = (PROC / f'{pid}/fdinfo/{number}').read_text()
    flags = re.search(r'flags:\s+(\d+)', text)
    return bool(flags and int(flags[1], 8) & os.O_ACCMODE)


def files(*directories: Path) -> Iterator[tuple[str, os.stat_result]]:
    """Give the files in these directories and below."""
    for directory in directories:
        for path in directory.rglob('*'):
            with contextlib.suppress(OSError):
                found = path.stat()
                if stat.S_ISREG(found.st_mode):
                    yield str(path), found
