# SPDX-License-Identifier: Apache-2.0
"""Hold conversions at a known point, from outside of the process."""

import contextlib
import os
import signal
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil

from glance_rawstore import slots
from tests.cloud import Cloud
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.functional.support import importing
from tests.functional.support import pending
from tests.waiting import pause


def among(processes: Iterable[psutil.Process]) -> list[psutil.Process]:
    """Those that are a qemu-img which converts."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.cmdline()[:2] == ['qemu-img', 'convert']:
                found.append(process)
    return found


def children(cloud: Cloud) -> list[psutil.Process]:
    """What the workers of a cloud's API run."""
    found = []
    for pid in cloud.api_pids():
        with contextlib.suppress(psutil.NoSuchProcess):
            found += psutil.Process(pid).children(recursive=True)
    return found


def opened(cloud: Cloud) -> Iterator[str]:
    """What the workers of a cloud's API have open, some of it no more."""
    for pid in cloud.api_pids():
        for number in os.listdir(f'/proc/{pid}/fd'):
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                yield os.readlink(f'/proc/{pid}/fd/{number}')


def converting(cloud: Cloud) -> list[psutil.Process]:
    """The qemu-img processes of a cloud that convert."""
    return among(children(cloud))


def hashing(cloud: Cloud) -> list[psutil.Process]:
    """The processes of a cloud that hash a staged file."""
    found = []
    for process in children(cloud):
        with contextlib.suppress(psutil.NoSuchProcess):
            if process.name() == 'sha512sum':
                found.append(process)
    return found


@contextlib.contextmanager
def no_slots(
    cloud: Cloud, count: int = 2, directory: Path | None = None
) -> Iterator[None]:
    """Keep all conversions of a cloud waiting, by holding its slots.

    :param count: as many slots as it has
    :param directory: where they are counted, if not those of its API
    """
    scratch = str(directory or cloud.directory / 'tasks')
    with contextlib.ExitStack() as held_slots:
        for _number in range(count):
            held_slots.enter_context(slots.slot(scratch, count, time.sleep))
        yield


def converted_when_stored(tenant: Tenant, path: Path, **kwargs: Any) -> str:
    """Start an import of which the original is converted, and not what is
    staged, as no slot was free when it was; its image's id.
    """
    with no_slots(tenant.cloud):
        image_id = tenant.start_import(path, raw_cache='true', **kwargs)
        tenant.await_copy_task(image_id, ('pending',))
    return image_id


class Held:
    """A conversion that is stopped in its middle."""

    def __init__(self, process: psutil.Process) -> None:
        self.process = process

    def go_on(self) -> None:
        """Let it go on, if it is still there."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.process.send_signal(signal.SIGCONT)


def suspend(processes: Iterable[psutil.Process]) -> None:
    """Stop those that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.suspend()


def resume(processes: Iterable[psutil.Process]) -> None:
    """Let those go on that are still there."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.resume()


@contextlib.contextmanager
def suspended(processes: Sequence[psutil.Process]) -> Iterator[None]:
    """Processes hang meanwhile, and come back whatever happens."""
    try:
        suspend(processes)
        yield
    finally:
        resume(processes)


def reading(cloud: Cloud) -> list[psutil.Process]:
    """Those that have opened their source, and have their watches in Ceph.

    By their connections: to the monitor, then to the OSD for each image.
    """
    return [p for p in converting(cloud) if len(_connections(p)) >= 3]


def _connections(process: psutil.Process) -> list[object]:
    with contextlib.suppress(psutil.NoSuchProcess):
        return [
            c for c in process.net_connections() if c.status == 'ESTABLISHED'
        ]
    return []


def stopped(process: psutil.Process) -> bool:
    """Stop a process; whether it was still there to be stopped."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.suspend()
        while (status := process.status()) != psutil.STATUS_ZOMBIE:
            if status == psutil.STATUS_STOPPED:
                return True
            pause(0.001)
    return False


@contextlib.contextmanager
def held(cloud: Cloud, imported: bool = True) -> Iterator[Held]:
    """Catch the next conversion and stop it; it goes on afterwards.

    :param imported: wait until the image is imported, and its copy is
        pending for all to see; a conversion may begin before

    Before it has opened an image, mostly: a client of Ceph that does not
    answer would make everybody wait who changes what it has open. The source
    must take qemu-img longer than the time between two looks.
    """
    process = await_true(
        lambda: next(filter(stopped, converting(cloud)), None),
        'a conversion is caught',
    )
    caught = Held(process)
    try:
        if imported:
            await_true(lambda: not importing(cloud), 'all is imported')
            await_true(lambda: pending(cloud), 'the copy is pending')
        yield caught
    finally:
        caught.go_on()
