# SPDX-License-Identifier: Apache-2.0
"""Tell of each copy that cannot be opened: once, not at every pass."""

import logging
from collections.abc import Iterable

from glance_rawstore.lifecycle.raw_copy import RawCopy

LOG = logging.getLogger(__name__)


class Alarms:
    """What one loop has told."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def tell(self, damaged: Iterable[RawCopy]) -> None:
        """Warn of those that were not there at the last pass.

        :param damaged: all that there are now
        """
        now = {copy.rbd_id: copy for copy in damaged}
        for rbd_id in now.keys() - self._told:
            LOG.warning('%s', now[rbd_id].alarm)
        self._told = set(now)
