# SPDX-License-Identifier: Apache-2.0
"""A staged file, held open while its image is stored, and after that.

It is read under no name, so Glance may remove it when it likes, and however
we end the kernel frees it. Somebody may write to it or put another file in
its place before it is stored: so what was read is known by size and hash,
and by the time of the last change, which must be the same before the first
and after the last byte that was read.
"""

import logging
import os
import stat
import time
from collections.abc import Callable
from typing import IO

from glance_rawstore import sources

LOG = logging.getLogger(__name__)

_SCHEME = 'file://'
#: Seconds for which the kernel may give two changes the same time, and some
#: more: its clock for files moves 100 to 1000 times a second.
_TICK = 0.05
#: Idle cores that it takes.
_IDLE = 3


class Staged:
    """A regular file that is open for reading.

    :param file: closed by :meth:`close`

    :ivar size: in bytes
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._before = _last_change(file)
        self._since = time.monotonic()
        self.size = os.fstat(file.fileno()).st_size

    def settled(self, wait: Callable[[float], object]) -> bool:
        """Whether every change from now on will be noticed.

        :param wait: sleeps that many seconds
        """
        left = self._since + _TICK - time.monotonic()
        if left > 0:
            wait(left)
        # A file system that tells whole seconds has too long a tick.
        return self.unchanged() and self._before[0] % 10**9 != 0

    def unchanged(self) -> bool:
        """Whether nobody has written to it since it was opened."""
        return _last_change(self._file) == self._before

    def nameless(self) -> bool:
        """Whether it was removed, or another one put in its place."""
        return os.fstat(self._file.fileno()).st_nlink == 0

    def source(self) -> sources.FileSource:
        """As a source of a conversion, for as long as it is open."""
        return sources.FileSource(self._file, locking=False)

    def close(self) -> None:
        """Let go of it; repeatable."""
        self._file.close()


def _last_change(file: IO[bytes]) -> tuple[int, int]:
    """When it was written to last, in ns, and its size.

    Not when its inode was: Glance removes its name.
    """
    found = os.fstat(file.fileno())
    return found.st_mtime_ns, found.st_size


def beside(choice: str, cores: int, load: float) -> bool:
    """Whether to convert beside the upload, instead of right after it.

    On two cores that were busy with the upload and an OSD the image itself
    was active up to 1.4 times as late: Ceph's own work for the copy gives way
    to nobody. What begins now wants three: one for the upload, which the load
    does not tell of yet, one to convert and one to hash.

    :param choice: the option ``convert_staged``
    :param cores: that this process may use
    :param load: processes that ran on the node, on the average of a minute
    """
    if choice == 'auto':
        return cores - load >= _IDLE
    return choice == 'always'


def load() -> tuple[int, float]:
    """Cores and load of this node, as :func:`beside` wants them."""
    return len(os.sched_getaffinity(0)), os.getloadavg()[0]


def hold(uri: str | None) -> Staged | None:
    """Open a staged file, if there is one on this node that can be used.

    :param uri: as Glance names it to plugins: ``file:///...``
    """
    if not uri or not uri.startswith(_SCHEME):
        return None
    if not sources.others_may_look():
        return None  # it would need a name
    path = uri.removeprefix(_SCHEME)  # nothing in it is quoted
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except OSError as exc:
        LOG.debug('The staged file cannot be opened here: %s', exc)
        return None
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        os.close(descriptor)
        return None
    return Staged(os.fdopen(descriptor, 'rb', buffering=0))
