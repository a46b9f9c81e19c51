# SPDX-License-Identifier: Apache-2.0
"""What is counted of conversions and evictions, and under which keys. Core.

Counts only ever grow. Each is a number under a key of its own, so that any
number of workers can add to them at once; what happened at one moment is one
set of additions.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping

from glance_rawstore import exceptions

#: Upper bounds, in seconds, of the histogram of conversions.
BUCKETS = (1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0, 14400.0)

#: How a conversion can end.
SUCCEEDED = 'succeeded'
FAILED = 'failed'
CANCELLED = 'cancelled'
HANDED_OVER = 'handed_over'

_RESULT = 'conversions/'
_REASON = 'failures/'
_LE = 'seconds/le/'
_SECONDS = 'seconds/sum'
_BYTES = 'bytes'
_EVICTIONS = 'evictions/'
_EVICTED_BYTES = 'evicted_bytes/'
_LEASES = 'lease_losses'

_HUMP = re.compile('(?<=[a-z])(?=[A-Z])')
#: What a policy of somebody else's may be named in a key.
_ODD = re.compile('[^A-Za-z0-9_.-]')

Additions = Mapping[str, float]


def reason(why: Exception) -> str:
    """Name of an error for a label: ``no_space``; few, whatever happens.

    No text of the error is in it: that may name an image.
    """
    if not isinstance(why, exceptions.RawStoreError):
        return 'internal'
    return _name(type(why))


def _name(kind: type[Exception]) -> str:
    return _HUMP.sub('_', kind.__name__).lower()


def _kinds(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for kind in root.__subclasses__():
        yield from _kinds(kind)


#: Every reason of a failure. Told from the beginning, as 0: Prometheus sees
#: no increase in a figure that was not there before.
REASONS = (
    'internal',
    *(_name(kind) for kind in _kinds(exceptions.ConversionFailed)),
    *(_name(kind) for kind in _kinds(exceptions.Refused)),
)


def succeeded(seconds: float, size: int) -> Additions:
    """A copy was made.

    :param seconds: that it took, from its slot on
    :param size: bytes that were written
    """
    found = {_RESULT + SUCCEEDED: 1.0, _SECONDS: seconds, _BYTES: float(size)}
    return found | {_bound(seconds): 1.0}


def _bound(seconds: float) -> str:
    for bound in BUCKETS:
        if seconds <= bound:
            return f'{_LE}{bound:g}'
    return f'{_LE}inf'


def ended(why: Exception, handed_over: bool = False) -> Additions:
    """A conversion made no copy.

    :param why: the error that ended it
    :param handed_over: somebody goes on with it
    :returns: nothing where there was nothing to do
    """
    if isinstance(why, exceptions.NothingToDo | exceptions.LeaseHeld):
        return {}
    if isinstance(why, exceptions.LeaseLost):
        return {_LEASES: 1.0}
    if isinstance(why, exceptions.Cancelled):
        return {_RESULT + (HANDED_OVER if handed_over else CANCELLED): 1.0}
    return {_RESULT + FAILED: 1.0, _REASON + reason(why): 1.0}


def evicted(policy: str, size: int) -> Additions:
    """A copy was evicted.

    :param policy: its name, or ``operator``
    :param size: bytes that it used
    """
    name = _ODD.sub('_', policy)
    return {_EVICTIONS + name: 1.0, _EVICTED_BYTES + name: float(size)}


@dataclasses.dataclass(frozen=True)
class Tally:
    """All that was counted so far. Sizes in bytes, times in seconds.

    :param results: conversions by how they ended
    :param failures: those that failed, by reason
    :param buckets: for each of :data:`BUCKETS`, and then for all, how many
        copies took no longer
    :param evictions: by policy
    """

    results: Mapping[str, float]
    failures: Mapping[str, float]
    buckets: tuple[float, ...]
    seconds: float
    written: float
    evictions: Mapping[str, float]
    evicted_bytes: Mapping[str, float]
    lease_losses: float


def parse(found: Mapping[str, float]) -> Tally:
    """What the keys mean; one of another release's is left out."""
    within = [found.get(f'{_LE}{bound:g}', 0.0) for bound in BUCKETS]
    within.append(found.get(f'{_LE}inf', 0.0))
    below = [sum(within[: place + 1]) for place in range(len(within))]
    zero = dict.fromkeys((SUCCEEDED, FAILED, CANCELLED, HANDED_OVER), 0.0)
    return Tally(
        results=zero | _named(found, _RESULT),
        failures=dict.fromkeys(REASONS, 0.0) | _named(found, _REASON),
        buckets=tuple(below),
        seconds=found.get(_SECONDS, 0.0),
        written=found.get(_BYTES, 0.0),
        evictions=_named(found, _EVICTIONS),
        evicted_bytes=_named(found, _EVICTED_BYTES),
        lease_losses=found.get(_LEASES, 0.0),
    )


def _named(found: Mapping[str, float], prefix: str) -> dict[str, float]:
    return {
        key.removeprefix(prefix): value
        for key, value in found.items()
        if key.startswith(prefix)
    }
