# SPDX-License-Identifier: Apache-2.0
"""Count attempts, so that what cannot succeed is not tried for ever.

An attempt is counted when it begins, so that one which kills its worker
counts too. Nothing here fails a conversion: at worst one is tried too often.
"""

import contextlib
import logging
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import attempts
from glance_rawstore import exceptions
from glance_rawstore import orders
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.attempts import version
from glance_rawstore.tasks.job import Job
from glance_rawstore.tasks.step import Step

LOG = logging.getLogger(__name__)

_INTERNAL = 'The raw copy failed for an internal reason.'


@contextlib.contextmanager
def _tolerant(job: Job) -> Iterator[None]:
    try:
        yield
    except Exception as exc:
        LOG.warning(
            'Attempts at a raw copy of image %s were not counted: %s',
            job.image_id,
            exc,
        )


def _next(job: Job, image: Image, before: Attempts | None) -> Attempts:
    """One attempt more than before, at the same version of the image."""
    current = version(image.updated_at, job.options.max_size)
    same = before is not None and before.version == current
    count = before.count if before is not None and same else 0
    return Attempts(count + 1, False, UNFINISHED, time.time(), current)


def count(job: Job, image: Image) -> None:
    """Count the attempt, once, at this version of the image."""
    with _tolerant(job):
        ioctx = job.raw_pool.ioctx
        if not job.counted:
            job.attempt = attempts.read(ioctx, job.image_id)
        attempts.write(ioctx, job.image_id, _next(job, image, job.attempt))
        job.counted = True


class CountAttempt(Step):
    """Count the attempt; from here on its worker may be killed by it."""

    def execute(self, image: Image) -> None:
        """Count, while we have the lease."""
        count(self.job, image)


def advanced(job: Job) -> None:
    """Take the count back: a slice is done.

    Should its worker be killed now, it was of use, and the next one gets
    further.
    """
    with _tolerant(job):
        _take_back(job)


def made(job: Job) -> None:
    """Forget the attempts that failed, and the order: this one has not."""
    with _tolerant(job):
        attempts.forget(job.raw_pool.ioctx, job.image_id)
        orders.forget(job.raw_pool.ioctx, job.image_id)


def made_none(job: Job, image: Image, why: Exception) -> None:
    """Keep why there is no copy, for whoever tries again."""
    if isinstance(why, exceptions.LeaseHeld | exceptions.LeaseLost):
        return  # what is known is the other worker's to write now
    with _tolerant(job):
        if isinstance(why, exceptions.ImageDeleted):
            attempts.forget(job.raw_pool.ioctx, job.image_id)
        elif isinstance(why, exceptions.Cancelled | exceptions.NothingToDo):
            _take_back(job)
        else:
            _keep(job, image, why)


def _take_back(job: Job) -> None:
    if not job.counted:
        return
    ioctx: Any = job.raw_pool.ioctx
    if job.attempt is None:
        attempts.forget(ioctx, job.image_id)
    else:
        attempts.write(ioctx, job.image_id, job.attempt)


def _keep(job: Job, image: Image, why: Exception) -> None:
    ioctx = job.raw_pool.ioctx
    before = job.attempt
    if not job.counted:
        before = attempts.read(ioctx, job.image_id)
    counted = _next(job, image, before)
    known = isinstance(why, exceptions.RawStoreError)
    attempts.write(
        ioctx,
        job.image_id,
        Attempts(
            counted.count,
            isinstance(why, exceptions.Refused),
            str(why) if known else _INTERNAL,
            counted.at,
            counted.version,
        ),
    )
