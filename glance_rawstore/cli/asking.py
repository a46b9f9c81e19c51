# SPDX-License-Identifier: Apache-2.0
"""Ask before anything is destroyed."""

import argparse
import sys

from glance_rawstore import exceptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run`` and ``--yes``."""
    add_dry_run(parser)
    parser.add_argument(
        '--yes',
        '-y',
        action='store_true',
        help='do not ask; needed where nobody can be asked, as in a script',
    )


def add_dry_run(parser: argparse.ArgumentParser) -> None:
    """Add ``--dry-run``."""
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='only show what would be done, and why',
    )


def confirm(args: argparse.Namespace, question: str) -> None:
    """Go on only when somebody says so.

    :param question: what is going to be done, as a question
    :raises WrongUsage: nobody can be asked, and ``--yes`` was not given
    :raises Declined: the answer was no
    """
    if args.yes:
        return
    if not sys.stdin.isatty():
        raise exceptions.WrongUsage(
            'There is no terminal to ask on, so nothing was done: give --yes '
            'to go ahead, or --dry-run to see what would be done.'
        )
    # Not by input(), whose question would get into a piped output.
    print(f'{question} [y/N] ', end='', file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ('y', 'yes'):
        raise exceptions.Declined()
