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
    |   |-- Stalled             no progress for stall_timeout
    |   `-- CephUnavailable     the cluster did not answer
    |-- Cancelled               the copy or its image was deleted meanwhile
    |-- NothingToDo             no copy is needed; not a failure
    |   `-- CopyExists          there is an active copy already
    |-- LeaseHeld               another worker is making this copy
    |-- LeaseLost               another worker may have taken over: stop
    |-- NotFound                no such copy
    `-- BadSetup                the configuration must be changed

The text of every one is a sentence that may be shown to a tenant: it names
no host, pool, path or URL.  Details for operators go to the log.
"""


class RawStoreError(Exception):
    """Root of the tree. ``exit_code`` is what the command line returns."""

    exit_code = 1


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


class Stalled(ConversionFailed):
    """No progress for ``stall_timeout`` seconds."""


class CephUnavailable(ConversionFailed):
    """The cluster did not answer or refused."""


class Cancelled(RawStoreError):
    """The copy, or the image, was deleted while the copy was being made."""


class NothingToDo(RawStoreError):
    """No copy is needed. Ends the work early; nobody counts it a failure."""


class CopyExists(NothingToDo):
    """An active copy is there already."""


class LeaseHeld(RawStoreError):
    """Another worker is making this copy."""


class LeaseLost(RawStoreError):
    """The lease ran out before it was renewed; another worker may have it."""


class NotFound(RawStoreError):
    """There is no such copy."""

    exit_code = 3


class BadSetup(RawStoreError):
    """The configuration is wrong; the message says what to change."""

    exit_code = 4
