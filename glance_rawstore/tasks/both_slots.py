# SPDX-License-Identifier: Apache-2.0
"""The slots of a conversion that is begun only if they are free at once.

One of the node's (:mod:`glance_rawstore.slots`), and one of the cluster's
where those are limited (:mod:`glance_rawstore.cluster_slots`).
"""

from glance_rawstore import cluster_slots
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import tickets
from glance_rawstore.tasks.job import Job


class BothSlots:
    """They, once they are taken.

    :param of_node: held already
    """

    def __init__(self, of_node: tickets.Slot) -> None:
        self._of_node = of_node
        self._of_cluster: lease.Shared | None = None

    def take(self, job: Job, project: str) -> None:
        """Take that of the cluster.

        :param project: that owns the image
        :raises ConversionFailed: none is free
        """
        limited = cluster_slots.limited(job.raw_pool.ioctx, job.options)
        if limited is None:
            return
        self._of_cluster = limited.at_once(project)
        if self._of_cluster is None:
            raise exceptions.ConversionFailed('Others convert or wait to.')

    def end(self) -> None:
        """Let others begin: all is converted."""
        self._of_node.end()

    def give_back(self) -> None:
        """Give both back, whatever becomes of one. Repeatable."""
        of_cluster, self._of_cluster = self._of_cluster, None
        try:
            if of_cluster is not None:
                of_cluster.release()
        finally:
            self._of_node.close()
