# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore list``"""

import argparse
from typing import Any

from glance_rawstore import budget
from glance_rawstore import inventory
from glance_rawstore import options
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import arguments
from glance_rawstore.cli import configuration
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output
from glance_rawstore.cli import watching
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states

_HEADINGS = ('IMAGE', 'STATUS', 'VIRTUAL', 'USED', 'CLONES', 'AGE')


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'list',
        help='list the raw copies',
        description='List the raw copies in the raw store, the trashed ones '
        'too. CLONES counts the RBD images that still depend on a copy; '
        '"some" means that they are in pools this cephx user may not read.',
    )
    parser.add_argument(
        '--status',
        choices=[str(s) for s in states.Status if s != 'deleted'],
        help='only copies with this status',
    )
    parser.add_argument(
        '--watch',
        nargs='?',
        type=arguments.seconds,
        const=2.0,
        metavar='SECONDS',
        help='go on, looking every so many seconds (default: 2): live on a '
        'terminal, with progress and the budget; the whole list in a pipe '
        'whenever it changes; with --format json a line for each look',
    )
    output.add_format(parser)
    parser.set_defaults(run=run)


def _row(copy: raw_copy.RawCopy) -> tuple[str, ...]:
    return (copy.image_id, str(copy.status), *output.figures(copy))


def _chosen(
    args: argparse.Namespace, pool: raw_pool.RawPool
) -> list[raw_copy.RawCopy]:
    return [
        copy
        for copy in inventory.copies(pool)
        if args.status in (None, copy.status)
    ]


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """List; returns the exit status."""
    if args.watch is not None:
        return _watch(args, store)
    with raw_pool.RawPool.open(store.rbd) as pool:
        found = _chosen(args, pool)
    if args.format == 'json':
        output.print_json([output.as_dict(copy) for copy in found])
    else:
        output.print_rows(_HEADINGS, [_row(copy) for copy in found])
    return 0


def _watch(args: argparse.Namespace, store: stores.Store) -> int:
    limits = options.limits(configuration.load(args.config_file), store.name)

    def look() -> watching.Seen:
        # A connection for each look: a cluster may be away in between.
        with raw_pool.RawPool.open(store.rbd) as pool:
            now = budget.read(pool, limits) if limits.limited else None
            return watching.Seen(_chosen(args, pool), now)

    watching.watch(args, args.watch, look)
    return exit_status.DONE
