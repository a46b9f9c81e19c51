# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore verify``"""

import argparse
from typing import Any

from glance_rawstore import inventory
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import choosing
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import outcomes
from glance_rawstore.cli import output
from glance_rawstore.cli import progress
from glance_rawstore.cli import starting
from glance_rawstore.cli.outcomes import Outcome


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'verify',
        help='compare copies with their originals, byte by byte',
        description='Compare what a guest would see of the raw copy with what '
        'it would see of the original, with qemu-img under the limits of a '
        'conversion. Both are only read. An original that is not in Ceph is '
        'spooled first. Ends with 5 when a copy differs.',
    )
    choosing.add_arguments(parser, 'every active copy')
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Verify; returns the exit status."""
    from glance_rawstore.agent.verifying import Verifying

    choosing.check(args)
    node = starting.node(args, store)
    told = outcomes.Outcomes(args.format)
    with (
        raw_pool.RawPool.open(node.store.rbd) as pool,
        progress.shown(args.format) as shown,
    ):
        verifying = Verifying(node, pool)
        chosen = choosing.choose(
            args,
            lambda: inventory.active_images(pool),
            node.catalog.image,
        )
        told.each(chosen, lambda x: _verify(verifying, shown, x))
    return told.end()


def _verify(verifying: Any, shown: progress.Shown, image_id: str) -> Outcome:
    def tell(done: float | None, message: str) -> None:
        percent = None if done is None else int(100 * done)
        shown.update(image_id, percent, message)

    try:
        found = verifying.verify(image_id, tell)
    finally:
        shown.end(image_id)
    facts = {
        'size_bytes': found.size,
        'copy_size_bytes': found.copy_size,
        'first_difference_at_byte': found.first,
    }
    size = output.size(found.size)
    if found.identical:
        return Outcome(image_id, 'identical', size, facts)
    why = f'the copy has {found.copy_size} bytes, the original {found.size}'
    if not found.clonable:
        why = 'its snapshot is gone, so that nothing can clone it'
    elif found.first is not None:
        why = f'from byte {found.first} of {size} on'
    return Outcome(image_id, 'different', why, facts, exit_status.DIFFERENT)
