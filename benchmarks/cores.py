# SPDX-License-Identifier: Apache-2.0
"""Who uses the processors: seconds by program, of all that runs here.

All of the benchmark's programs are its children, or theirs. One that has
ended is counted with whoever has waited for it.
"""

from __future__ import annotations

import collections
import contextlib
import os
from collections.abc import Iterator, Mapping

import psutil

CORES = os.cpu_count() or 1

#: What qemu-img and the hashing children are counted as, which end soon.
CONVERSIONS = 'conversions'
GLANCE = 'glance-api'

_SERVICES = {'glance.wsgi': GLANCE, 'keystone.wsgi': 'keystone'}
_DAEMONS = frozenset({'ceph-osd', 'ceph-mon', 'ceph-mgr'})


def used() -> Mapping[str, float]:
    """Seconds that each program has used so far, on all cores."""
    found: collections.Counter[str] = collections.Counter()
    for process in _family():
        with contextlib.suppress(psutil.NoSuchProcess):
            name = _name(process)
            times = process.cpu_times()
            found[name] += times.user + times.system
            ended = CONVERSIONS if name == GLANCE else name
            found[ended] += times.children_user + times.children_system
    return found


def since(before: Mapping[str, float]) -> dict[str, float]:
    """What was used since, by program, the greediest first."""
    now = used()
    found = {name: now[name] - before.get(name, 0.0) for name in now}
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def divide() -> None:
    """Give Glance and its children one core, and all others another one.

    Whatever they start from now on is where they are.

    :raises OSError: there is only one core
    """
    first, *_, last = sorted(os.sched_getaffinity(0))
    for process in _family():
        ours = _name(process) in (GLANCE, CONVERSIONS)
        with contextlib.suppress(psutil.NoSuchProcess):
            for thread in process.threads():
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(thread.id, {first if ours else last})


def _family() -> Iterator[psutil.Process]:
    own = psutil.Process()
    yield own
    yield from own.children(recursive=True)


def _name(process: psutil.Process) -> str:
    command = ' '.join(process.cmdline())
    for module, service in _SERVICES.items():
        if module in command:
            return service
    name = process.name()
    if name in _DAEMONS:
        return str(name)
    parent = process.parent()
    if parent is not None and 'glance.wsgi' in ' '.join(parent.cmdline()):
        return CONVERSIONS
    return 'the benchmark'
