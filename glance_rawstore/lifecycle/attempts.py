# SPDX-License-Identifier: Apache-2.0
"""How often the copy of an image was tried, and when to try again.

What is known of failed attempts holds for one *version* of the image: a
change of the image, or of the largest size that is converted, is a reason to
try again what was refused or given up.
"""

import dataclasses
import json

#: Longest delay between two attempts, in seconds.
LONGEST_DELAY = 3600.0

#: The error while an attempt runs, and what is left of one whose worker died.
UNFINISHED = 'The worker that made the copy ended before it was done.'


@dataclasses.dataclass(frozen=True)
class Attempts:
    """The attempts at one image's copy that made none.

    :param count: how many, for this version
    :param refused: the image is the reason; no attempt will do better
    :param error: a sentence that may be shown to a tenant
    :param at: when the last one ended, or began while it is
        :data:`UNFINISHED`, in seconds since the epoch
    :param version: see :func:`version`
    """

    count: int
    refused: bool
    error: str
    at: float
    version: str


def version(updated_at: float, max_size: int) -> str:
    """What attempts depend on.

    :param updated_at: when the image was last changed, in seconds since the
        epoch; a location's status does not count as a change of the image
    :param max_size: ``max_virtual_size``, in bytes
    """
    return f'{updated_at:.0f}/{max_size}'


def encode(attempts: Attempts) -> bytes:
    """As it lies in Ceph: JSON."""
    return json.dumps(dataclasses.asdict(attempts), sort_keys=True).encode()


def decode(data: bytes) -> Attempts | None:
    """Read what :func:`encode` wrote; None for anything else."""
    try:
        read = json.loads(data)
        return Attempts(
            count=int(read['count']),
            refused=bool(read['refused']),
            error=str(read['error']),
            at=float(read['at']),
            version=str(read['version']),
        )
    except (ValueError, KeyError, TypeError):
        return None


@dataclasses.dataclass(frozen=True)
class Retry:
    """When to try again.

    :param delay: seconds after the first failure; doubled by each further
        one, up to :data:`LONGEST_DELAY`
    :param limit: attempts, after which it is given up
    """

    delay: float
    limit: int

    def after(self, attempts: Attempts | None, current: str) -> float | None:
        """The time from which on to try, in seconds since the epoch.

        :param current: the image's version of now
        :returns: None for never: it was refused, or given up
        """
        if attempts is None:
            return 0.0
        if attempts.version != current:
            # Refusing costs nothing, but a conversion that fails may.
            return 0.0 if attempts.refused else attempts.at + self.delay
        if attempts.refused or attempts.count >= self.limit:
            return None
        doubled: float = self.delay * 2 ** min(attempts.count - 1, 30)
        return attempts.at + min(doubled, LONGEST_DELAY)
