# SPDX-License-Identifier: Apache-2.0
"""The error tree; one class for each decision a caller can make.

::

    RawStoreError
    |-- Refused                 the image itself is the reason: do not retry
    |   |-- InvalidProperty     raw_cache or raw_cache_weight is not readable
    |   |-- UnsafeImage         a safety check failed (its names are kept)
    |   |-- UnsupportedFormat   nothing we convert
    |   `-- TooLarge            beyond max_virtual_size
    |-- ConversionFailed        surroundings are the reason: may be retried
    |   |-- NoSpace             raw pool or scratch directory is full
    |   |   `-- OverBudget      so is the budget for raw copies
    |   |-- Stalled             no progress for stall_timeout
    |   `-- CephUnavailable     the cluster did not answer
    |       |-- Blocklisted     nor will it: connect anew, begin anew
    |       `-- Damaged         it did, but cannot read this RBD image
    |-- Cancelled               the copy was deleted meanwhile, or our process
    |   |                       ends
    |   |-- Interrupted         our process ends
    |   `-- ImageDeleted        so was its image
    |-- NothingToDo             no copy is needed; not a failure
    |   `-- CopyExists          there is an active copy already
    |-- LeaseHeld               another worker is making this copy
    |-- LeaseLost               another worker may have taken over: stop
    |-- NotFound                no such copy
    |-- BadSetup                the configuration must be changed
    |-- WrongUsage              the command line must be changed
    `-- Declined                the operator was asked and said no

The text of every one is a sentence that may be shown to a tenant: it names
no host, pool, path or URL.  What is for operators alone, such as Ceph's own
words, is its ``detail``, which logs and the command line tell as well.
"""


class RawStoreError(Exception):
    """Root of the tree. ``exit_code`` is what the command line returns.

    :param message: sentence for the tenant; the class's own if there is none
    :param detail: for operators: what was tried, and what was said to it;
        the class's own ``advice`` if there is none
    """

    exit_code = 1
    sentence = 'The raw copy failed.'
    advice = ''

    def __init__(self, message: str = '', detail: str = '') -> None:
        super().__init__(message or self.sentence)
        self.detail = detail or self.advice

    @property
    def in_full(self) -> str:
        """The sentence, and the detail in parentheses: for operators."""
        return f'{self} ({self.detail})' if self.detail else str(self)


class Refused(RawStoreError):
    """The image is the reason; trying again gives the same answer."""


class InvalidProperty(Refused):
    """An image property of ours does not have a readable value."""


class UnsafeImage(Refused):
    """A safety check failed.

    :param message: sentence for the tenant
    :param checks: names of the failed checks, for logs and metrics
    """

    def __init__(self, message: str, checks: tuple[str, ...]) -> None:
        super().__init__(message)
        self.checks = checks


class UnsupportedFormat(Refused):
    """The disk or container format is none that is converted."""


class TooLarge(Refused):
    """The virtual size is beyond ``max_virtual_size``."""


class ConversionFailed(RawStoreError):
    """Something around the image failed; it may work another time."""


class NoSpace(ConversionFailed):
    """The raw pool or the scratch directory has not enough free space."""

    sentence = (
        'The pool for raw copies is full. An operator can free space in it, '
        'raise its quota, or add space.'
    )


class OverBudget(NoSpace):
    """There is no room in the raw store's budget, even after eviction."""

    sentence = 'The budget for raw copies is used up.'


class Stalled(ConversionFailed):
    """No progress for ``stall_timeout`` seconds."""


class CephUnavailable(ConversionFailed):
    """The cluster did not answer or refused."""

    sentence = 'The storage cluster did not answer or refused.'


class Blocklisted(CephUnavailable):
    """Ceph has shut our client out (``ceph osd blocklist``).

    By a worker that took over, or by an operator. To ask again over the same
    connection mends nothing. One that is made anew works, but must not go on
    with what was begun over this one: the lease on that is another's by now,
    or will be.
    """

    sentence = 'The storage cluster has shut out a part of the image service.'
    advice = (
        'this client was blocklisted, by a worker that took over or by an '
        'operator: see "ceph osd blocklist ls"; what it was at ends, and what '
        'comes next connects anew'
    )


class Damaged(CephUnavailable):
    """The cluster cannot read what it has of one RBD image: go on with others.

    Trying again gives the same answer until somebody has mended it.
    """

    sentence = 'The storage cluster cannot read what it has of it.'


class Cancelled(RawStoreError):
    """The copy was deleted while it was being made, or its maker ends."""

    sentence = 'The raw copy was deleted while it was being made.'


class Interrupted(Cancelled):
    """The process ends in which the copy was being made."""

    sentence = (
        'The conversion was interrupted by a restart of the image service.'
    )


class ImageDeleted(Cancelled):
    """The image was deleted while its copy was being made."""

    sentence = 'The image was deleted.'


class NothingToDo(RawStoreError):
    """No copy is needed. Ends the work early; nobody counts it a failure."""


class CopyExists(NothingToDo):
    """An active copy is there already."""

    sentence = 'The image has a raw copy already.'


class LeaseHeld(RawStoreError):
    """Another worker is making this copy."""

    sentence = 'Another worker is making this raw copy.'


class LeaseLost(RawStoreError):
    """The lease ran out before it was renewed; another worker may have it."""

    sentence = 'Another worker took over making the raw copy.'


class NotFound(RawStoreError):
    """There is no such copy."""

    exit_code = 3
    sentence = 'The raw copy was not found.'


class BadSetup(RawStoreError):
    """The configuration is wrong; the message says what to change."""

    exit_code = 4


class WrongUsage(RawStoreError):
    """The command line cannot be meant so; the message says how."""

    exit_code = 2


class Declined(RawStoreError):
    """The operator was asked, and said no."""

    sentence = 'The answer was no, so nothing was done.'
