# SPDX-License-Identifier: Apache-2.0
"""Look, ask, and only then take something away from each of several images."""

import argparse
import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore.cli import asking
from glance_rawstore.cli import choosing
from glance_rawstore.cli import outcomes
from glance_rawstore.cli import output
from glance_rawstore.cli import starting
from glance_rawstore.cli.outcomes import Outcome

#: How many are listed before it is asked.
_LISTED = 20


#: What is, or would be, done to an image: by the arguments, with an
#: :class:`glance_rawstore.agent.removing.Removing`.
Step = Callable[[argparse.Namespace, Any, str], Outcome]


def run(
    args: argparse.Namespace,
    store: stores.Store,
    every: Callable[[raw_pool.RawPool], Iterable[str]],
    check: Step,
    do: Step,
) -> int:
    """Do it to all to which it can be done; returns the exit status.

    :param every: ids of the images that ``--all`` means
    :param check: what would be done to one, with ``bytes_used`` in its facts;
        or why nothing will be, with no such fact
    :param do: does it
    """
    from glance_rawstore.agent.removing import Removing

    choosing.check(args)
    node = starting.node(args, store)
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        removing = Removing(node, pool)
        chosen = choosing.choose(args, lambda: every(pool), node.catalog.image)
        return _run(
            args,
            chosen,
            functools.partial(check, args, removing),
            functools.partial(do, args, removing),
        )


def _run(
    args: argparse.Namespace,
    image_ids: Iterable[str],
    check: Callable[[str], Outcome],
    do: Callable[[str], Outcome],
) -> int:
    told = outcomes.Outcomes(args.format)
    planned = [outcomes.attempt(image_id, check) for image_id in image_ids]
    doomed = [each for each in planned if 'bytes_used' in each.facts]
    for each in planned:
        if args.dry_run or each not in doomed:
            told.tell(each)
    if doomed and not args.dry_run:
        if not args.yes:
            _list(doomed)
        asking.confirm(args, _question(args.command, doomed))
        told.each([each.image_id for each in doomed], do)
    return told.end()


def _list(doomed: list[Outcome]) -> None:
    for each in doomed[:_LISTED]:
        print(f'  {each.image_id}  {each.why}'.rstrip(), file=sys.stderr)
    if len(doomed) > _LISTED:
        print(f'  and {len(doomed) - _LISTED} more', file=sys.stderr)


def _question(verb: str, doomed: list[Outcome]) -> str:
    count = len(doomed)
    what = 'this raw copy' if count == 1 else f'these {count} raw copies'
    used = output.size(sum(each.facts['bytes_used'] or 0 for each in doomed))
    return f'{verb.capitalize()} {what}, {used} used?'
