# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore delete``"""

import argparse
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import stores
from glance_rawstore.cli import asking
from glance_rawstore.cli import choosing
from glance_rawstore.cli import destroying
from glance_rawstore.cli import output
from glance_rawstore.cli.outcomes import Outcome

_AGAIN = 'the image wishes for it: an agent makes it again; see --unset'


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'delete',
        help='delete copies; the images stay',
        description='Delete the raw copies of images, or stop their being '
        'made. The images and their originals stay as they are. A copy that '
        'clones need goes to the trash and is reaped after the last of them. '
        'Where the image wishes for a copy, an agent makes it anew at its '
        'next pass; --unset takes the wish off the image.',
    )
    choosing.add_arguments(parser, 'every copy, active or pending')
    parser.add_argument(
        '--unset',
        action='store_true',
        help='take the property raw_cache off the images as well; where '
        'raw_cache_default wishes for copies, set it to false',
    )
    asking.add_arguments(parser)
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Delete; returns the exit status."""
    return destroying.run(args, store, inventory.all_images, _check, _delete)


def _check(args: argparse.Namespace, removing: Any, image_id: str) -> Outcome:
    try:
        copy = removing.copy(image_id)
    except exceptions.NotFound:
        if not removing.ordered(image_id):
            raise
        facts = {'bytes_used': 0, 'made_again': False}
        return Outcome(image_id, 'to be deleted', 'ordered, not begun', facts)
    again = not args.unset and removing.wished_for(image_id)
    why = [f'{copy.status}, {output.size(copy.bytes_used)} used']
    if copy.children != ():
        why.append(f'clones: {copy.clones}, so it goes to the trash')
    if again:
        why.append(_AGAIN)
    facts = {'bytes_used': copy.bytes_used, 'made_again': again}
    return Outcome(image_id, 'to be deleted', '; '.join(why), facts)


def _delete(args: argparse.Namespace, removing: Any, image_id: str) -> Outcome:
    try:
        gone = removing.delete(image_id, args.unset)
    except exceptions.NotFound:
        if not removing.ordered(image_id):
            raise
        removing.withdraw(image_id, args.unset)
        return Outcome(image_id, 'withdrawn', 'it was ordered, not begun')
    again = removing.wished_for(image_id)
    why = [] if gone else ['waits in the trash for its last clone']
    if again:
        why.append(_AGAIN)
    facts = {'in_trash': not gone, 'made_again': again}
    return Outcome(image_id, 'deleted', '; '.join(why), facts)
