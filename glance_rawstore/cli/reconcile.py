# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore reconcile``"""

import argparse
import sys
from typing import Any

from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.agent.actions import Action
from glance_rawstore.cli import asking
from glance_rawstore.cli import output
from glance_rawstore.cli import starting

_HEADINGS = ('ACTION', 'IMAGE', 'WHY')


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'reconcile',
        help='compare wishes with copies, and close the gap once',
        description='Compare what images wish for with the copies that are '
        'there, and do what the agent would do: make copies, delete those '
        'not wanted any more, put back lost locations, clean up after dead '
        'workers, reap. Safe to run at any time, on any node; run again, it '
        'finds nothing to do. Ends with 1 when something could not be done.',
    )
    asking.add_dry_run(parser)
    output.add_format(parser)
    parser.set_defaults(run=run)


def _as_dict(action: str, image_id: str, reason: str) -> dict[str, str]:
    return {'action': action, 'image_id': image_id, 'reason': reason}


def _tell(actions: list[Action], form: str) -> None:
    rows = [(str(a.kind), a.image_id, a.reason) for a in actions]
    if form == 'json':
        output.print_json([_as_dict(*row) for row in rows])
    elif rows:
        output.print_rows(_HEADINGS, list(rows))
    else:
        print('nothing to do')


def _tell_left(found: Any) -> None:
    """Tell what is left as it is: of images not known, and damaged copies."""
    from glance_rawstore.agent import reconciling

    if found.strangers:
        print(reconciling.strange(found.strangers), file=sys.stderr)
    for copy in found.damaged:
        print(copy.alarm, file=sys.stderr)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Reconcile once; returns the exit status."""
    from glance_rawstore.agent import reconciling

    node = starting.node(args, store)
    if not args.dry_run:
        return _Pass(node, args.format).run()
    found = reconciling.Queue()
    with raw_pool.RawPool.open(store.rbd) as pool:
        plans = list(reconciling.planned(node, pool, found.see))
        plans.append(reconciling.evictions(node, pool))
    _tell_left(found)
    _tell([action for actions in plans for action in actions], args.format)
    return 0


class _Pass:
    """One pass, told as it goes.

    :param node: :class:`glance_rawstore.agent.node.Node`
    :param form: text or json
    """

    def __init__(self, node: Any, form: str) -> None:
        self._node = node
        self._form = form
        self._done: list[dict[str, str]] = []
        self._failed = 0

    def run(self) -> int:
        """Returns the exit status."""
        from glance_rawstore.agent import reconciling
        from glance_rawstore.agent.converting import Conversions

        found = reconciling.Queue()
        wanted, self._failed = reconciling.reconcile(
            self._node, self._told, found.see
        )
        _tell_left(found)
        conversions = Conversions(self._node, self._told, self._ended)
        try:
            conversions.offer(wanted)
            conversions.join()
        finally:
            conversions.stop()
        if self._form == 'json':
            output.print_json(self._done)
        elif not self._done:
            print('nothing to do')
        return 1 if self._failed else 0

    def _add(self, action: str, image_id: str, reason: str) -> None:
        self._done.append(_as_dict(action, image_id, reason))
        if self._form == 'text':
            print(f'{action:<16}  {image_id}  {reason}', flush=True)

    def _told(self, action: Action) -> None:
        self._add(str(action.kind), action.image_id, action.reason)

    def _ended(self, image_id: str, made: bool) -> None:
        if made:
            self._add('copy made', image_id, 'it was wanted')
        else:
            self._failed += 1
            self._add('no copy made', image_id, 'see "glance-rawstore show"')
