# SPDX-License-Identifier: Apache-2.0
"""Follow raw copies until they are ready, or nothing more is to come."""

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions

from glance_rawstoreclient import copies
from glance_rawstoreclient import images
from glance_rawstoreclient.copies import Copy
from glance_rawstoreclient.copies import Outcome

#: Seconds between two looks at an image: at first, and at most.
FIRST = 1.0
LONGEST = 10.0


class Shown(Protocol):
    """Who shows how far it is."""

    def update(self, copy: Copy, words: str) -> None:
        """A copy has come this far."""

    def trouble(self, copy: Copy, error: Exception) -> None:
        """It could not be asked for; that may pass."""

    def end(self, copy: Copy, outcome: Outcome, words: str) -> None:
        """Nothing more is to come of this one."""


def follow(
    api: images.Images,
    wanted: Iterable[Copy],
    timeout: float,
    shown: Shown,
    sleep: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> dict[str, Outcome]:
    """Wait until every copy is ready or given up.

    :param wanted: as they were when they were looked for
    :param timeout: seconds for all of them together
    :returns: how it ended, by the image's id; of those for which the time
        was too short, ``WAITING``
    """
    left = {copy.image_id: copy for copy in wanted}
    ended: dict[str, Outcome] = {}
    until, pause = now() + timeout, FIRST
    while left:
        for image_id, before in list(left.items()):
            copy, outcome, words = _look(api, before, shown)
            left[image_id] = copy
            if outcome is Outcome.WAITING:
                continue
            shown.end(copy, outcome, words)
            ended[image_id] = outcome
            del left[image_id]
        if not left or now() >= until:
            break
        sleep(min(pause, max(0.0, until - now())))
        pause = min(pause * 1.25, LONGEST)
    for image_id, copy in left.items():
        words = f'not ready after {timeout:g} s'
        shown.end(copy, Outcome.FAILED, words)
        ended[image_id] = Outcome.WAITING
    return ended


def _look(
    api: images.Images, before: Copy, shown: Shown
) -> tuple[Copy, Outcome, str]:
    try:
        copy = api.copy(before.image_id)
        outcome, words = copies.judge(copy)
        if outcome is Outcome.FAILED and copy.status == 'error':
            why = api.message(copy.image_id)
            words = f'{words}: {why}' if why else words
    except exceptions.NotFoundException:
        return before, Outcome.FAILED, 'the image was deleted'
    except (
        exceptions.SDKException,
        auth_exceptions.ClientException,
    ) as error:
        if not images.may_pass(error):
            raise
        shown.trouble(before, error)
        return before, Outcome.WAITING, ''
    if outcome is Outcome.WAITING:
        shown.update(copy, words)
    return copy, outcome, words
