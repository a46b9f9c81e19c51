# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore reap``"""

import argparse
import dataclasses
import sys
import time
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import arguments
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'reap',
        help='remove deleted copies that nothing uses any more',
        description='Remove the copies in the trash whose last clone is '
        'gone. Those still in use are left, and so is whatever in the trash '
        'is not a raw copy. Safe to run at any time, on any node. Ends with 1 '
        'when a copy cannot be opened.',
    )
    parser.add_argument(
        '--watch',
        nargs='?',
        type=arguments.seconds,
        const=10.0,
        metavar='SECONDS',
        help='go on for ever, reaping every so many seconds (default: 10)',
    )
    output.add_format(parser)
    parser.set_defaults(run=run)


def _tell(reaped: inventory.Reaped, form: str) -> None:
    if form == 'json':
        output.print_json(
            {
                'removed': list(reaped.gone),
                'in_use': list(reaped.in_use),
                'damaged': [output.as_dict(copy) for copy in reaped.damaged],
                'freed_bytes': reaped.freed,
            }
        )
        return
    for image_id in reaped.gone:
        print(f'removed  {image_id}')
    for image_id in reaped.in_use:
        print(f'in use   {image_id}')
    for copy in reaped.damaged:
        print(f'damaged  {copy.image_id}  {copy.alarm}')
    damaged = len(reaped.damaged)
    print(
        f'{len(reaped.gone)} removed, {output.size(reaped.freed)} freed, '
        f'{len(reaped.in_use)} still in use'
        + (f', {damaged} cannot be opened' if damaged else ''),
        flush=True,
    )


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Reap once or for ever; returns the exit status."""
    if args.watch is None:
        reaped = _reap(store)
        _tell(reaped, args.format)
        return exit_status.FAILED if reaped.damaged else exit_status.DONE
    told: inventory.Reaped | None = None
    while True:
        try:
            reaped = _reap(store)
        except exceptions.CephUnavailable as exc:
            print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)
        else:
            # A log that repeats itself every 10 s hides what happened.
            if reaped.gone or reaped != told:
                _tell(reaped, args.format)
            told = dataclasses.replace(reaped, gone=(), freed=0)
        time.sleep(args.watch)


def _reap(store: stores.Store) -> inventory.Reaped:
    with raw_pool.RawPool.open(store.rbd) as pool:
        return inventory.reap(pool)
