# SPDX-License-Identifier: Apache-2.0
"""Try again while Ceph or the database is away, or until the process ends."""

import logging
import math
import threading
import time
from collections.abc import Callable
from typing import Any

import tenacity

from glance_rawstore import exceptions
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Seconds between tries while Ceph or the database is away, and for which it
#: is gone on trying.
_PAUSES = tenacity.wait_exponential(max=30)
_ENOUGH = tenacity.stop_after_delay(3600)
#: The same of a process that ends, which has some 20 s for all that it undoes.
_SHORT_PAUSE = 0.5
_ENDS_WITHIN = 2.0
#: Errors of ours, which trying again does not mend.
_MISTAKES = (AttributeError, KeyError, TypeError, ValueError)
#: What else it does not mend: over another connection it may be another's, and
#: what cannot be opened stays so.
_HOPELESS = (*_MISTAKES, exceptions.Blocklisted, exceptions.Damaged)


def persist(
    action: Callable[[], Any],
    sleep: Callable[[float], None],
    pause: Callable[[tenacity.RetryCallState], float] = _PAUSES,
    enough: Callable[[tenacity.RetryCallState], bool] = _ENOUGH,
) -> None:
    """Do something, again and again while Ceph or the database is away.

    :param sleep: for so many seconds; ends the trying by raising
    :param pause: how many
    :param enough: whether to give up
    :raises Exception: it is away for too long, or trying again mends nothing
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_not_exception_type(_HOPELESS),
        wait=pause,
        stop=enough,
        sleep=sleep,
        before_sleep=tenacity.before_sleep_log(LOG, logging.WARNING),
        reraise=True,
    )
    retrying(action)


class _Insisting:
    """For how long to insist, and how to wait meanwhile.

    :param stop: set when the process ends; wakes who waits
    """

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._ends_at = math.inf

    def sleep(self, seconds: float) -> None:
        """Sleep, unless the process ends meanwhile."""
        if self._stop.is_set():
            time.sleep(min(seconds, _SHORT_PAUSE))
        else:
            self._stop.wait(seconds)

    def pause(self, state: tenacity.RetryCallState) -> float:
        """Seconds until the next try."""
        return _SHORT_PAUSE if self._stop.is_set() else _PAUSES(state)

    def enough(self, state: tenacity.RetryCallState) -> bool:
        """Whether to give up."""
        if not self._stop.is_set():
            return _ENOUGH(state)
        self._ends_at = min(self._ends_at, time.monotonic() + _ENDS_WITHIN)
        return time.monotonic() >= self._ends_at


def insist(job: Job, action: Callable[[], Any]) -> None:
    """The same, of what undoes something, or is done last.

    For a moment only once the process ends: what is left then is put right by
    an agent, as what a killed one leaves. Never raises: taskflow undoes no
    earlier step when one undo raises.
    """
    insisting = _Insisting(job.stop)
    try:
        persist(action, insisting.sleep, insisting.pause, insisting.enough)
    except exceptions.Blocklisted as exc:
        LOG.warning('What a conversion leaves is for others: %s', exc.detail)
    except Exception:
        LOG.exception('A step of a conversion could not be finished')
