# SPDX-License-Identifier: Apache-2.0
"""Delete an image whose original is being read for its raw copy.

Glance's rbd driver can't remove an image that qemu-img has open: it takes the
snapshot away, fails at the rest, and Glance answers 409. The conversion then
ends by itself, and mends the original within seconds (see
:mod:`glance_rawstore.tasks.originals`), so that the next deletion succeeds.
It is asked for here, in the place of the user: nobody but us is the reason.
"""

import time
from collections.abc import Callable

import webob

#: Seconds until a conversion that goes on is taken not to be the reason;
#: its end was seen to take 3.
PATIENCE = 15.0

#: Seconds between two looks.
_PAUSE = 0.25

_CONFLICT = 409


def delete(
    ask: Callable[[], webob.Response], being_made: Callable[[], bool]
) -> webob.Response:
    """Glance's answer to a deletion; not a conflict that passes with us.

    :param ask: asks Glance, which may be done again
    :param being_made: whether a worker makes a copy of the image now
    """
    making = being_made()
    answer = ask()
    if answer.status_int != _CONFLICT or not (making or being_made()):
        return answer
    until = time.monotonic() + PATIENCE
    while being_made():
        if time.monotonic() >= until:
            return answer
        time.sleep(_PAUSE)
    return ask()
