# SPDX-License-Identifier: Apache-2.0
"""Tell, besides its task, how a conversion ended: to whoever counts them."""

import logging

from glance_rawstore import tally
from glance_rawstore.lifecycle import tally as counts
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)


def made(job: Job, seconds: float, written: int) -> None:
    """The copy is there.

    :param seconds: that it took, from its slot on
    :param written: bytes, by this worker
    """
    _count(job, counts.succeeded(seconds, written))


def ended(job: Job, why: Exception) -> None:
    """There is no copy; all that was made is undone, or handed over."""
    _count(job, counts.ended(why, job.hands_over(why)))


def _count(job: Job, additions: counts.Additions) -> None:
    """Count, if the raw pool can be reached."""
    if not additions:
        return
    try:
        tally.add(job.raw_pool.ioctx, additions)
    except Exception as exc:
        LOG.warning(
            'How the raw copy of image %s ended was not counted: %s',
            job.image_id,
            exc,
        )
