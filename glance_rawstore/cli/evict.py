# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore evict``"""

import argparse
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import stores
from glance_rawstore.cli import asking
from glance_rawstore.cli import choosing
from glance_rawstore.cli import destroying
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output
from glance_rawstore.cli.outcomes import Outcome


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'evict',
        help='take copies away until somebody needs them again',
        description='Take copies away now, as eviction does when the store is '
        'full: the wish stays, and the copy is made again when a consumer '
        'asks for it, or by "glance-rawstore convert"; by that alone where '
        'the image does not wish for one. Copies that clones '
        'need, which would free nothing, and protected ones are kept.',
    )
    choosing.add_arguments(parser, 'every active copy')
    parser.add_argument(
        '--force',
        action='store_true',
        help='evict protected copies as well, and those that clones need: '
        'these wait in the trash for the last of them',
    )
    asking.add_arguments(parser)
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Evict; returns the exit status."""
    return destroying.run(args, store, inventory.active_images, _check, _evict)


def _check(args: argparse.Namespace, removing: Any, image_id: str) -> Outcome:
    try:
        copy = removing.check_evictable(image_id, args.force)
    except exceptions.Refused as exc:
        # Of all copies, some are always in use: no reason to fail.
        status = exit_status.DONE if args.all else exit_status.FAILED
        return Outcome(image_id, 'kept', str(exc), status=status)
    facts = {'bytes_used': copy.bytes_used}
    why = f'{output.size(copy.bytes_used)} used'
    return Outcome(image_id, 'to be evicted', why, facts)


def _evict(args: argparse.Namespace, removing: Any, image_id: str) -> Outcome:
    gone = removing.evict(image_id, args.force)
    why = [] if gone else ['waits in the trash for its last clone']
    if not removing.known(image_id):
        why.append('there is no such image')
    elif not removing.wished_for(image_id):
        why.append('the image does not wish for it: convert brings it back')
    return Outcome(image_id, 'evicted', '; '.join(why), {'in_trash': not gone})
