# SPDX-License-Identifier: Apache-2.0
"""What an import costs the node: memory of the API, local disk space.

Watched in a run of its own, which is not timed, because watching costs time.
"""

from __future__ import annotations

import dataclasses
import threading
import time

from benchmarks import bed
from benchmarks import imports
from benchmarks import processes
from benchmarks.images import Image
from tests.cloud import Cloud

# in seconds, between two looks; and looks for one at the slow PSS
PERIOD = 0.02
PSS_EVERY = 10

# what /proc appends to the path of a file that has none any more
DELETED = ' (deleted)'

# in seconds, in which memory at rest is looked at
REST = 1.0


@dataclasses.dataclass(frozen=True)
class Footprint:
    """All in bytes; memory is the sum over the API's workers.

    :param who: whose Glance, of bed.Bed.clouds
    :param image: name of the image
    :param rss_at_rest: resident memory before the import call
    :param rss_import: its growth from then until the image was active
    :param rss_conversion: its growth from then until the raw copy was; 0 if
        none was asked for
    :param pss_import: as rss_import, of shared memory only their share
    :param pss_conversion: likewise
    :param local: most local disk space at once, beside the staged file, the
        database and logs
    :param files: whose space that was, by their paths
    :param qemu_img: most resident memory of one qemu-img
    :param children: most memory of all children of the workers at once, of
        shared memory only their share
    """

    who: str
    image: str
    rss_at_rest: int
    rss_import: int
    rss_conversion: int
    pss_import: int
    pss_conversion: int
    local: int
    files: tuple[str, ...]
    qemu_img: int
    children: int = 0


# When, by the monotonic clock, and how many bytes.
Samples = list[tuple[float, int]]


class Watch:
    """Looks at a Glance until it is left as a context."""

    def __init__(self, cloud: Cloud) -> None:
        self._workers = cloud.api_pids()
        self._directories = [
            cloud.directory / name for name in ('staging', 'tasks', 'locks')
        ]
        # its journal comes and goes
        self._database = str(cloud.directory / 'glance.db')
        self._known: set[str] = set()
        self._known = set(self._files(self._workers))
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rss: Samples = []
        self.pss: Samples = []
        self.local: dict[str, int] = {}
        self.qemu_img = 0
        self.children = 0

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            self._look()

    def _look(self) -> None:
        now = time.monotonic()
        if len(self.rss) % PSS_EVERY == 0:
            self.pss.append((now, sum(map(processes.pss, self._workers))))
        self.rss.append((now, sum(map(processes.rss, self._workers))))
        children = list(processes.descendants(self._workers))
        memory = sum(map(processes.pss, children))
        self.children = max(self.children, memory)
        for pid in children:
            if processes.name(pid) == 'qemu-img':
                self.qemu_img = max(self.qemu_img, processes.peak(pid))
        files = self._files([*self._workers, *children])
        if sum(files.values()) > sum(self.local.values()):
            self.local = {path: size for path, size in files.items() if size}

    def _files(self, pids: list[int]) -> dict[str, int]:
        """Return what is new since the watch began, and its size on disk."""
        found = list(processes.files(*self._directories))
        for pid in pids:
            found += processes.written_files(pid)
        return {
            path: status.st_blocks * processes.BLOCK
            for path, status in found
            if path.removesuffix(DELETED) not in self._known
            and not self._is_apart(path)
        }

    def _is_apart(self, path: str) -> bool:
        # librados and Glance log what ceph.conf and its own say.
        return path.startswith(self._database) or path.endswith('.log')


def measure(stage: bed.Bed, who: str, image: Image) -> Footprint:
    """Import an image while watching.

    :param who: one of stage.clouds
    """
    cloud = stage.clouds[who]
    with (
        imports.staged(cloud, image, raw=who in bed.WITH_US) as job,
        Watch(cloud) as watch,
    ):
        time.sleep(REST)
        times = job.run()
    started, active = times.started, times.started + times.active
    done = times.started + (times.raw or times.active)
    return Footprint(
        who=who,
        image=image.name,
        rss_at_rest=_last(watch.rss, started),
        rss_import=_growth(watch.rss, started, active),
        rss_conversion=_growth(watch.rss, active, done),
        pss_import=_growth(watch.pss, started, active),
        pss_conversion=_growth(watch.pss, active, done),
        local=sum(watch.local.values()),
        files=tuple(sorted(watch.local)),
        qemu_img=watch.qemu_img,
        children=watch.children,
    )


def _last(samples: Samples, when: float) -> int:
    """Return what it was at that time."""
    return [size for taken, size in samples if taken <= when][-1]


def _growth(samples: Samples, start: float, end: float) -> int:
    """Return by how much it grew at most between two times."""
    between = [size for taken, size in samples if start < taken <= end]
    before = _last(samples, start)
    return max([before, *between]) - before
