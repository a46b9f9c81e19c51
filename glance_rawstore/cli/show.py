# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore show``"""

import argparse
import time
from collections.abc import Sequence
from typing import Any

import humanize

from glance_rawstore import attempts
from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import output
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.attempts import Attempts


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'show',
        help="show an image's raw copy",
        description="Show an image's raw copy in full, and copies of it that "
        'wait in the trash for their last clone, and attempts at one that '
        'failed. Ends with 3 when there is no copy.',
    )
    parser.add_argument('image', metavar='IMAGE', help='id of the image')
    output.add_format(parser)
    parser.set_defaults(run=run)


def _rows(copy: raw_copy.RawCopy) -> list[tuple[str, str]]:
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
        ('rbd image', f'{copy.pool}/{copy.rbd_name} (id {copy.rbd_id})'),
        ('clones', ', '.join(clones) or 'none'),
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


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Show; returns the exit status."""
    with raw_pool.RawPool.open(store.rbd) as pool:
        found = inventory.of_image(pool, args.image)
        tried = attempts.read(pool.ioctx, args.image)
    if not found and tried is None:
        raise exceptions.NotFound(f'Image {args.image} has no raw copy.')
    if args.format == 'json':
        shown = [output.as_dict(copy) for copy in found]
        if tried is not None:
            shown.append(_attempts_as_dict(args.image, tried))
        output.print_json(shown)
        return 0 if found else exceptions.NotFound.exit_code
    for copy in found:
        output.print_rows(('FIELD', 'VALUE'), list(_rows(copy)))
    if tried is not None:
        output.print_rows(
            ('FIELD', 'VALUE'), _attempts_rows(args.image, tried)
        )
    return 0 if found else exceptions.NotFound.exit_code


def _verdict(tried: Attempts) -> str:
    return 'refused' if tried.refused else 'failed'


def _attempts_rows(image_id: str, tried: Attempts) -> list[Sequence[str]]:
    ago = humanize.naturaldelta(time.time() - tried.at)
    return [
        ('image', image_id),
        ('last attempt', f'{_verdict(tried)} {ago} ago'),
        ('attempts', str(tried.count)),
        ('error', tried.error),
    ]


def _attempts_as_dict(image_id: str, tried: Attempts) -> dict[str, Any]:
    return {
        'image_id': image_id,
        'status': 'error',
        'last_attempt': _verdict(tried),
        'attempts': tried.count,
        'error': tried.error,
        'age_seconds': round(time.time() - tried.at),
    }
