# SPDX-License-Identifier: Apache-2.0
"""A copy that was evicted, and when it is made again. Core: pure.

The rule that keeps eviction and reconciliation from chasing each other: what
was evicted is made again when it was asked for since, or when an operator
says so. The wish alone does not make it again.
"""

import dataclasses
import json

#: In the place of a policy's name: an operator evicted it.
OPERATOR = 'operator'


@dataclasses.dataclass(frozen=True)
class Evicted:
    """An eviction.

    :param at: when, in seconds since the epoch
    :param policy: name of the policy that chose the copy, or
        :data:`OPERATOR`
    :param bytes: that the copy used
    :param rbd_id: internal id of the copy; empty where it is not known. As
        long as that one is there, the eviction is not finished.
    """

    at: float
    policy: str
    bytes: int
    rbd_id: str = ''

    def is_over(self, asked: float | None) -> bool:
        """Whether the copy may be made again.

        :param asked: when a consumer last asked for it, in seconds since the
            epoch; None for never
        """
        return asked is not None and asked > self.at


def encode(evicted: Evicted) -> bytes:
    """As it lies in Ceph: JSON."""
    return json.dumps(dataclasses.asdict(evicted), sort_keys=True).encode()


def decode(data: bytes) -> Evicted | None:
    """Read what :func:`encode` wrote; None for anything else."""
    try:
        read = json.loads(data)
        return Evicted(
            at=float(read['at']),
            policy=str(read['policy']),
            bytes=int(read['bytes']),
            rbd_id=str(read.get('rbd_id', '')),
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
        return None
