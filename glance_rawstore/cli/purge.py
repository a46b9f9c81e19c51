# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore purge``"""

import argparse
import sys
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import asking
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import outcomes
from glance_rawstore.cli import output
from glance_rawstore.cli import starting
from glance_rawstore.cli.outcomes import Outcome

_AFTERWARDS = """
Nothing is left of it. In the configuration of every glance-api, take out

  of [DEFAULT] enabled_backends                 {store}:{driver}
  the group                                     [{store}]
and, if this was the last raw store,
  of [image_import_opts] image_import_plugins   raw_cache
  the group                                     [glance_rawstore]
  of the paste pipeline                         raw_view

and restart it. Then the pool {pool} can be deleted. The property
raw_cache of images means nothing any more and may stay."""


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'purge',
        help='clean a raw store up that is given up',
        description='Delete all copies of a raw store, their locations on '
        'images, open tasks, and what else is noted in its pool; the images '
        'stay. Copies that clones need go to the trash: run it again when the '
        'clones are gone. What is not a copy, such as images of servers, is '
        'left and told. Ends with 1 while something is left. Stop the agents '
        'first, and take raw_cache out of image_import_plugins.',
    )
    parser.add_argument(
        '--store',
        metavar='NAME',
        default=argparse.SUPPRESS,
        help='the raw store; must be named, even where there is only one',
    )
    parser.add_argument(
        '--force',
        action='store_true',
        help='though an agent is running or copies are being made, which are '
        'stopped; agents may begin anew',
    )
    asking.add_arguments(parser)
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Purge; returns the exit status."""
    from glance_rawstore.agent.purging import Purging

    if args.store is None:
        raise exceptions.WrongUsage(
            f'Name the store that is given up: purge --store {store.name}'
        )
    node = starting.node(args, store)
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        return _purge(args, store, Purging(node, pool))


def _purge(args: argparse.Namespace, store: stores.Store, purging: Any) -> int:
    told = outcomes.Outcomes(args.format)
    copies = purging.copies()
    doomed = dict.fromkeys([*(c.image_id for c in copies), *purging.rows()])
    obstacles = list(purging.obstacles())
    if args.dry_run:
        for why in obstacles:
            print(f'glance-rawstore: {why}', file=sys.stderr)
        for image_id in doomed:
            told.tell(Outcome(image_id, 'to be deleted'))
        _stays(told, purging.stays())
        return told.end()
    if obstacles and not args.force:
        raise exceptions.RawStoreError(
            ' '.join([*obstacles, 'Nothing was done; see --force.'])
        )
    used = output.size(sum(copy.bytes_used or 0 for copy in copies))
    what = f'{len(doomed)} raw cop{"y" if len(doomed) == 1 else "ies"}'
    asking.confirm(
        args,
        f'Give up the raw store {store.name}, and delete its {what}, '
        f'{used} used?',
    )
    told.each(doomed, lambda image_id: _delete(purging, image_id))
    purging.fail_tasks(doomed)
    _stays(told, purging.finish())
    status = told.end()
    if status == exit_status.DONE and args.format == 'text':
        text = _AFTERWARDS.format(
            store=store.name, driver=stores.DRIVER, pool=store.rbd.pool
        )
        print(text)
    return status


def _delete(purging: Any, image_id: str) -> Outcome:
    gone = purging.purge(image_id)
    why = '' if gone else 'waits in the trash for its last clone'
    return Outcome(image_id, 'deleted', why, {'in_trash': not gone})


def _stays(told: outcomes.Outcomes, left: Any) -> None:
    for each in left:
        told.tell(
            Outcome(each.name, 'stays', each.why, status=exit_status.FAILED)
        )
