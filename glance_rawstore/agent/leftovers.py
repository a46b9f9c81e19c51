# SPDX-License-Identifier: Apache-2.0
"""Remove spools that killed processes left in the scratch directory."""

import contextlib
import fcntl
import logging
import os
import time
from pathlib import Path

from glance_rawstore import sources

LOG = logging.getLogger(__name__)

#: Seconds for which a new spool may not have been locked yet.
_YOUNG = 60


def remove(directory: str) -> None:
    """Remove spools that no process has locked; leaves all else alone.

    Glance itself may keep files in the same directory.

    :param directory: scratch directory; may be missing
    """
    for path in Path(directory).glob(f'{sources.SPOOL_PREFIX}*'):
        # For writing, which an exclusive lock needs on NFS.
        with contextlib.suppress(OSError), path.open('r+b') as file:
            if time.time() - os.fstat(file.fileno()).st_mtime < _YOUNG:
                continue
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            size = os.fstat(file.fileno()).st_size
            path.unlink()
            LOG.info(
                'Removed the spool %s (%d bytes) of a dead process', path, size
            )
