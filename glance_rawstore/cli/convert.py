# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore convert``"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import handover
from glance_rawstore import inventory
from glance_rawstore import orders
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore import wishes
from glance_rawstore.cli import arguments
from glance_rawstore.cli import asking
from glance_rawstore.cli import choosing
from glance_rawstore.cli import following
from glance_rawstore.cli import outcomes
from glance_rawstore.cli import output
from glance_rawstore.cli import progress
from glance_rawstore.cli import starting
from glance_rawstore.cli.outcomes import Outcome

#: Seconds after which a copy is given up that cannot be begun here, though
#: nobody else makes it: longer than an image that was changed is left alone.
PATIENCE = 30.0
#: Seconds between looks whether an agent is there.
_ATTENDANCE = 10.0


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'convert',
        help='have copies of images made, wished for or not',
        description='Have the raw copies of images made: by the agents, which '
        'begin within a second or two, or in this process where no agent is '
        'there. A copy of an image without the property raw_cache stays until '
        'it is deleted or evicted. What failed or was evicted before is made '
        'again. Copies that are there are left as they are.',
    )
    choosing.add_arguments(
        parser, 'every image that can be converted and has no copy yet'
    )
    parser.add_argument(
        '--wait',
        '-w',
        action='store_true',
        help='follow until all have ended; the exit status says whether all '
        'copies are active',
    )
    parser.add_argument(
        '--timeout',
        type=arguments.seconds,
        metavar='SECONDS',
        help='as --wait, but no longer than that; agents go on with it',
    )
    parser.add_argument(
        '--here',
        action='store_true',
        help='make them in this process, even if agents are there',
    )
    asking.add_dry_run(parser)
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Have copies made; returns the exit status."""
    choosing.check(args)
    node = starting.node(args, store)
    if not node.policy.makes:
        raise exceptions.BadSetup(
            f'Copies are made in the first raw store of enabled_backends, '
            f'which {store.name} is not.'
        )
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        return _Command(args, node, pool).run()


class _Command:
    """One call of the command.

    :param node: :class:`glance_rawstore.agent.node.Node`
    """

    def __init__(
        self, args: argparse.Namespace, node: Any, pool: raw_pool.RawPool
    ) -> None:
        from glance_rawstore.agent.ordering import Ordering

        self._args = args
        self._node = node
        self._pool = pool
        self._ordering = Ordering(node, pool)
        self._told = outcomes.Outcomes(args.format)
        self._ended: dict[str, bool] = {}
        self._looked = time.monotonic()
        self._attended = True

    def run(self) -> int:
        """Returns the exit status."""
        args = self._args
        chosen = choosing.choose(args, self._every, self._node.catalog.image)
        if args.dry_run:
            self._told.each(chosen, self._check)
            return self._told.end()
        here = args.here or not handover.attended(self._pool.ioctx)
        if here and not args.here:
            print('no agent is there: converting here', file=sys.stderr)
        give = self._give if here else self._hand_over
        found = [outcomes.attempt(image_id, give) for image_id in chosen]
        follow = here or args.wait or args.timeout is not None
        for outcome in found:
            if not (follow and outcome.what == 'ordered'):
                self._told.tell(outcome)
        if follow:
            ordered = [o.image_id for o in found if o.what == 'ordered']
            (self._make if here else self._wait)(ordered)
        return self._told.end()

    def _every(self) -> Iterator[str]:
        there = set(inventory.active_images(self._pool))
        for image in self._node.catalog.all_images():
            convertible = formats.convertible(
                image.disk_format, image.container_format
            )
            if image.status != 'active' or not convertible:
                continue
            if not wishes.mentioned(image.properties, default=True):
                continue
            if image.image_id not in there:
                yield image.image_id

    def _check(self, image_id: str) -> Outcome:
        try:
            image = self._ordering.check(image_id)
        except exceptions.NothingToDo as exc:
            return Outcome(image_id, 'nothing to do', str(exc))
        return Outcome(image.image_id, 'to be made')

    def _give(self, image_id: str) -> Outcome:
        try:
            found = self._ordering.give(image_id)
        except exceptions.NothingToDo as exc:
            return Outcome(image_id, 'nothing to do', str(exc))
        return Outcome(found, 'ordered')

    def _hand_over(self, image_id: str) -> Outcome:
        outcome = self._give(image_id)
        if outcome.what != 'ordered':
            return outcome
        facts = {
            'task_id': self._ordering.hand_over(outcome.image_id),
            'request_id': self._ordering.request_id,
        }
        why = f'an agent makes it: task {facts["task_id"]}'
        return Outcome(outcome.image_id, 'ordered', why, facts)

    def _wait(self, image_ids: list[str]) -> None:
        """Follow what the agents make."""
        with progress.shown(self._args.format) as shown:
            follower = following.Follower(
                self._node.catalog, self._pool, self._told.tell, shown
            )
            try:
                follower.follow(
                    image_ids, self._attendance, self._args.timeout
                )
            except KeyboardInterrupt:
                print('interrupted: the agents go on', file=sys.stderr)
                raise

    def _attendance(self, _waiting: list[str]) -> None:
        """Say so when the agents leave: an agent hands over to the next."""
        now = time.monotonic()
        if now - self._looked < _ATTENDANCE:
            return
        self._looked = now
        try:
            attended = handover.attended(self._pool.ioctx)
        except exceptions.CephUnavailable:
            return  # as who looks at the copies tells
        if self._attended and not attended:
            print('no agent is there any more: waiting', file=sys.stderr)
        self._attended = attended

    def _make(self, image_ids: list[str]) -> None:
        """Make them in this process."""
        from glance_rawstore.agent.converting import Conversions

        conversions = Conversions(
            self._node,
            lambda action: None,
            lambda image_id, made: self._ended.update({image_id: made}),
        )
        with progress.shown(self._args.format) as shown:
            follower = following.Follower(
                self._node.catalog,
                self._pool,
                self._told.tell,
                shown,
                self._ended.__contains__,
                PATIENCE,
            )
            try:
                follower.follow(
                    image_ids,
                    lambda waiting: conversions.offer(
                        x for x in waiting if x not in self._ended
                    ),
                    self._args.timeout,
                )
            finally:
                conversions.stop()
                self._withdraw([x for x in image_ids if x not in self._ended])

    def _withdraw(self, image_ids: list[str]) -> None:
        """Nobody makes later what was to be made here, and was interrupted.

        Unless there is an agent, to which it was handed over.
        """
        if image_ids and not handover.attended(self._pool.ioctx):
            for image_id in image_ids:
                orders.forget(self._pool.ioctx, image_id)
