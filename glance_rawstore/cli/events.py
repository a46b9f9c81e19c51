# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore events``"""

import argparse
import dataclasses
import json
import sys
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore import wording
from glance_rawstore.cli import arguments
from glance_rawstore.cli import choosing
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output
from glance_rawstore.cli import starting
from glance_rawstore.lifecycle.evicted import OPERATOR

_HEADINGS = ('TIME', 'IMAGE', 'EVENT', 'SECONDS', 'REQUEST', 'MESSAGE')
#: Seconds between two looks.
_INTERVAL = 2.0
#: Seconds by which the clocks of nodes may differ.
_SKEW = 60.0


@dataclasses.dataclass(frozen=True)
class Event:
    """Something that happened to a copy.

    :param at: in seconds since the epoch
    :param what: status of the task, or evicted
    :param seconds: since the task was created; None for what takes no time
    """

    at: float
    image_id: str
    what: str
    message: str
    seconds: float | None = None
    request_id: str | None = None
    task_id: str | None = None

    @property
    def key(self) -> tuple[str, str, object]:
        """What is told once: a task's status, not its every message."""
        return self.image_id, self.what, self.task_id or self.at


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'events',
        help='what has happened to copies lately, with request ids',
        description='Tell what has happened to copies: conversions, from '
        "Glance's tasks about them, and evictions that still hold. Glance "
        'keeps a task for task_time_to_live (48 hours unless set) after its '
        'end. The request id is that of log lines as well.',
    )
    parser.add_argument(
        'images',
        metavar='IMAGE',
        nargs='*',
        help='only what happened to these (default: to any)',
    )
    parser.add_argument(
        '--since',
        type=arguments.duration,
        metavar='TIME',
        help='how far back, such as 30m, 2h, 1d (default: as far as is known)',
    )
    parser.add_argument(
        '--limit',
        type=arguments.count,
        default=50,
        metavar='N',
        help='the last so many (default: 50)',
    )
    parser.add_argument(
        '--follow',
        '-f',
        action='store_true',
        help='go on and tell what happens, until interrupted; with --format '
        'json a line for each',
    )
    output.add_format(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Tell; returns the exit status."""
    images = {choosing.check_id(image_id) for image_id in args.images}
    node = starting.node(args, store)
    since = 0.0 if args.since is None else time.time() - args.since
    found = _look(node, images, since, args.limit)
    if not args.follow:
        if args.format == 'json':
            output.print_json([_as_dict(event) for event in found])
        else:
            output.print_rows(_HEADINGS, [_row(event) for event in found])
        return exit_status.DONE
    return _follow(args, node, images, found)


def _follow(
    args: argparse.Namespace,
    node: Any,
    images: set[str],
    found: list[Event],
) -> int:
    told: set[tuple[str, str, object]] = set()
    while True:
        for event in found:
            if event.key not in told:
                _tell(event, args.format)
        # What is not read again any more cannot be told again.
        told = {event.key for event in found}
        time.sleep(_INTERVAL)
        since = max([event.at for event in found], default=0.0) - _SKEW
        try:
            found = _look(node, images, since, None) or found
        except exceptions.CephUnavailable as exc:
            print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)


def _look(
    node: Any, images: set[str], since: float, limit: int | None
) -> list[Event]:
    """What has happened since then, oldest first, the last so many."""
    events = [*_tasks(node, images, since, limit), *_evictions(node)]
    chosen = [
        event
        for event in events
        if event.at >= since and (not images or event.image_id in images)
    ]
    chosen.sort(key=lambda event: event.at)
    return chosen if limit is None else chosen[-limit:]


def _tasks(
    node: Any, images: set[str], since: float, limit: int | None
) -> Iterator[Event]:
    catalog = node.catalog
    if images:
        found = [task for each in images for task in catalog.copy_tasks(each)]
    else:
        found = catalog.recent_tasks(since, limit)
    for task in found:
        yield Event(
            at=task.updated,
            image_id=task.image_id,
            what=task.status,
            message=task.message,
            seconds=round(task.updated - task.created, 1),
            request_id=task.request_id,
            task_id=task.task_id,
        )


def _evictions(node: Any) -> Iterator[Event]:
    with raw_pool.RawPool.open(node.store.rbd) as pool:
        noted = evicted.read_all(pool.ioctx)
    for image_id, found in noted.items():
        freed = output.size(found.bytes)
        why = f'by the policy {found.policy}, {freed}'
        if found.policy == OPERATOR:
            why = f'by an operator, {freed}'
        yield Event(found.at, image_id, 'evicted', why)


def _as_dict(event: Event) -> dict[str, Any]:
    return {
        'at': event.at,
        'image_id': event.image_id,
        'event': event.what,
        'seconds': event.seconds,
        'request_id': event.request_id,
        'task_id': event.task_id,
        'message': event.message,
    }


def _row(event: Event) -> tuple[str, ...]:
    moment = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(event.at))
    return (
        moment,
        event.image_id,
        event.what,
        '-' if event.seconds is None else f'{event.seconds:.0f}',
        event.request_id or '-',
        event.message,
    )


def _tell(event: Event, form: str) -> None:
    if form == 'json':
        print(json.dumps(_as_dict(event)), flush=True)
        return
    moment, image_id, what, seconds, request, message = map(
        wording.printable, _row(event)
    )
    line = f'{moment}  {image_id}  {what:<10}  {seconds:>5} s  {request}'
    print(f'{line}  {message}', flush=True)
