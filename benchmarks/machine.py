# SPDX-License-Identifier: Apache-2.0
"""What the numbers were taken on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.images import MIB
from tests.processes import run

ROOT = Path(__file__).parents[1]


def facts() -> dict[str, Any]:
    """Return names, versions and sizes; memory is in MiB."""
    return {
        'date': datetime.now(UTC).isoformat(timespec='seconds'),
        'cpu': cpu(),
        'cores': os.cpu_count(),
        'memory_mib': _memory() // MIB,
        'kernel': platform.release(),
        'ceph': _first(r'version (\S+)', ['ceph', '--version']),
        'qemu': _first(r'version (\S+)', ['qemu-img', '--version']),
        'glance': importlib.metadata.version('glance'),
        'glance_store': importlib.metadata.version('glance_store'),
        'glance_rawstore': _commit(),
        'python': platform.python_version(),
        'load': load(),
    }


def load() -> float:
    """Return how many processes ran or waited to, over the last minute.

    Before a run it should be near 0; else somebody else has been busy.
    """
    return round(os.getloadavg()[0], 2)


def cpu() -> str:
    """Return the processor's name, as the kernel has it."""
    found = re.search(
        r'(?m)^model name\s*:\s*(.+)$', Path('/proc/cpuinfo').read_text()
    )
    return found[1] if found else platform.machine()


def _memory() -> int:
    """Return how much there is, in bytes."""
    return os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES')


def _commit() -> str:
    """Return the commit under test; '+' if there are changes beyond it."""
    if not (ROOT / '.git').exists():
        return importlib.metadata.version('glance-rawstore')
    git = ['git', '-C', str(ROOT)]
    changed = run([*git, 'status', '--porcelain', 'glance_rawstore']).strip()
    commit = run([*git, 'rev-parse', '--short', 'HEAD']).strip()
    return commit + ('+' if changed else '')


def _first(pattern: str, command: list[str]) -> str:
    found = re.search(pattern, run(command))
    return found[1] if found else 'unknown'
