# SPDX-License-Identifier: Apache-2.0
"""How a command ends; the one table for help, documentation and code."""

DONE = 0
FAILED = 1
USAGE = 2
NOT_FOUND = 3
SETUP = 4
DIFFERENT = 5
INTERRUPTED = 130

TABLE = (
    (DONE, 'done, or there was nothing to do'),
    (FAILED, 'failed, or not all of it was done'),
    (USAGE, 'wrong usage, or nobody could be asked and --yes was not given'),
    (NOT_FOUND, 'no such image or copy'),
    (SETUP, 'wrong configuration'),
    (DIFFERENT, 'a copy differs from its original (verify)'),
    (INTERRUPTED, 'interrupted'),
)


def table() -> str:
    """The table for ``--help``."""
    return '\n'.join(f'  {code:<3}  {meaning}' for code, meaning in TABLE)


def worst(found: set[int]) -> int:
    """Of how each of several ended, how the command ends.

    A difference is told before anything else; one kind of failure alone as
    that kind, several as a failure.
    """
    failures = found - {DONE}
    if DIFFERENT in failures:
        return DIFFERENT
    if len(failures) == 1:
        return failures.pop()
    return FAILED if failures else DONE
