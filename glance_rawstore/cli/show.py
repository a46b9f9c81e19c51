# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore show``"""

import argparse
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import opts
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import choosing
from glance_rawstore.cli import configuration
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import noted
from glance_rawstore.cli import output
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Retry


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'show',
        help="show an image's raw copy",
        description="Show an image's raw copy in full, and copies of it that "
        'wait in the trash for their last clone; and why it has none: that '
        'attempts failed, that it was evicted, or is ordered. Ends with 3 '
        'when there is no copy.',
    )
    parser.add_argument('image', metavar='IMAGE', help='id of the image')
    output.add_format(parser)
    parser.set_defaults(run=run)


def _rows(copy: raw_copy.RawCopy) -> list[tuple[str, str]]:
    if copy.damaged:
        return _damaged_rows(copy)
    children = copy.children
    unseen = ['some, in pools that this cephx user may not read']
    clones = unseen if children is None else list(children)
    return [
        ('image', copy.image_id),
        ('status', str(copy.status)),
        *(_making_rows(copy.making) if copy.making is not None else ()),
        ('virtual size', output.size(copy.virtual_size)),
        ('used', output.size(copy.bytes_used)),
        ('age', output.age(copy)),
        ('made from', copy.source_format or '-'),
        ('rbd image', copy.place),
        ('clones', ', '.join(clones) or 'none'),
    ]


def _damaged_rows(copy: raw_copy.RawCopy) -> list[tuple[str, str]]:
    return [
        ('image', copy.image_id),
        ('status', str(copy.status)),
        ('rbd image', copy.place),
        ('damaged', copy.damaged),
        ('what to do', raw_copy.ADVICE),
    ]


def _making_rows(making: raw_copy.Making) -> list[tuple[str, str]]:
    slices = '-'
    if making.slices is not None:
        slices = f'{making.slices_done} of {making.slices} done'
    waits = 'nobody; an agent goes on'
    if making.slices is None:
        waits = 'nobody; an agent begins anew'
    return [
        ('progress', f'{making.progress or 0}%'),
        ('slices', slices),
        ('made by', 'a living worker' if making.leased else waits),
    ]


def _retry(args: argparse.Namespace) -> Retry:
    conf = configuration.load(args.config_file)
    opts.register(conf)
    ours = conf[opts.GROUP]
    return Retry(ours.retry_delay, ours.retry_limit)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Show; returns the exit status."""
    choosing.check_id(args.image)
    retry = _retry(args)
    with raw_pool.RawPool.open(store.rbd) as pool:
        found = inventory.of_image(pool, args.image)
        working = any(c.making is not None and c.making.leased for c in found)
        notes = list(noted.read(pool.ioctx, args.image, retry, working))
    if not found and not notes:
        raise exceptions.NotFound(f'Image {args.image} has no raw copy.')
    if args.format == 'json':
        shown = [output.as_dict(copy) for copy in found]
        output.print_json([*shown, *(note.facts for note in notes)])
    else:
        for rows in [*map(_rows, found), *(note.rows for note in notes)]:
            output.print_rows(('FIELD', 'VALUE'), list(rows))
    return exit_status.DONE if found else exit_status.NOT_FOUND
