# SPDX-License-Identifier: Apache-2.0
"""Tell, besides its task, how a conversion goes: count it, and notify."""

import logging
from collections.abc import Mapping
from typing import Any

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import tally
from glance_rawstore.lifecycle import tally as counts
from glance_rawstore.lifecycle.events import Event
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)


#: Ends of a worker, and not of the conversion.
_OF_OTHERS = (
    exceptions.NothingToDo,
    exceptions.LeaseHeld,
    exceptions.LeaseLost,
)


def begun(job: Job, task_id: str, info: convert.Info, done: float) -> None:
    """The copy begins to be written.

    :param done: part that another worker has left, 0.0 to 1.0
    """
    _tell(
        job,
        Event.START,
        task_id,
        virtual_size_bytes=info.virtual_size,
        data_bytes=info.allocated,
        resumed_at_percent=int(100 * done),
    )


def made(
    job: Job, task_id: str, result: Mapping[str, Any], resumed_at: float
) -> None:
    """The copy is there.

    :param result: of the task
    :param resumed_at: part that another worker had left, 0.0 to 1.0
    """
    used, seconds = result['bytes_used'], result['seconds']
    _count(job, counts.succeeded(seconds, int(used * (1 - resumed_at))))
    _tell(
        job,
        Event.END,
        task_id,
        virtual_size_bytes=result['virtual_size_bytes'],
        bytes_used=used,
        seconds=seconds,
    )


def ended(job: Job, task_id: str, why: Exception) -> None:
    """There is no copy; all that was made is undone, or handed over."""
    handed_over = job.hands_over(why)
    _count(job, counts.ended(why, handed_over))
    if handed_over or isinstance(why, _OF_OTHERS):
        return
    known = isinstance(why, exceptions.RawStoreError)
    _tell(
        job,
        Event.ERROR,
        task_id,
        reason=counts.reason(why),
        message=str(why) if known else exceptions.RawStoreError.sentence,
    )


def _tell(job: Job, event: Event, task_id: str, **facts: Any) -> None:
    job.catalog.tell(
        event,
        job.image_id,
        job.store.name,
        job.requester.request_id,
        task_id=task_id,
        **facts,
    )


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
