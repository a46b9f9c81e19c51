# SPDX-License-Identifier: Apache-2.0
"""``glance-rawstore status``"""

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore.agent.sight import Sight
from glance_rawstore.cli import judging
from glance_rawstore.cli import output
from glance_rawstore.cli.judging import Condition
from glance_rawstore.cli.judging import Finding
from glance_rawstore.cli.judging import Level
from glance_rawstore.cli.judging import Limits
from glance_rawstore.lifecycle.budget import Budget

_DESCRIPTION = """\
Show how a raw store is: its copies, who is at work, what its cephx user may
do, and what is stuck. All of it is read from Ceph, and nothing is changed.
"""

_EPILOG = """\
exit status with --check, as Nagios, Icinga, Zabbix and others know it:
  0 all is well, 1 warning, 2 critical, 3 it cannot be told
Ceph not answering within --timeout is critical; a wrong configuration cannot
be told. Without --check, the exit status tells only whether it could be seen.
"""


def add_parser(commands: Any) -> None:
    """Add this command to the parser."""
    parser: argparse.ArgumentParser = commands.add_parser(
        'status',
        help='how the raw store is; --check for monitoring',
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--check',
        action='store_true',
        help='print one line and judge, for monitoring',
    )
    output.add_format(parser)
    limits = parser.add_argument_group('what is judged')
    for name, default, metavar, meaning in _OPTIONS:
        limits.add_argument(
            name,
            type=_at_least_zero,
            default=default,
            metavar=metavar,
            help=f'{meaning} (default: {default})',
        )
    parser.set_defaults(run=run, failed=failed)


_OPTIONS = (
    ('--min-agents', 1, 'N', 'fewer agents are a warning, none is critical'),
    (
        '--stuck-warning',
        600,
        'SECONDS',
        'a copy is pending without a worker, or trashed and unused, for so '
        'long: warning',
    ),
    ('--stuck-critical', 3600, 'SECONDS', 'the same: critical'),
    (
        '--given-up-warning',
        1,
        'N',
        'so many images whose copies were given up: warning; 0 for never',
    ),
    (
        '--timeout',
        10,
        'SECONDS',
        'for each answer of Ceph; none in time is critical',
    ),
)


_SPACE = ('stored_bytes', 'capacity_bytes')


def _at_least_zero(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError('must not be negative')
    return value


def failed(args: argparse.Namespace, exc: exceptions.RawStoreError) -> int:
    """Tell an error as monitoring understands it; the exit status."""
    if not args.check:
        print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)
        return exc.exit_code
    away = isinstance(exc, exceptions.CephUnavailable)
    level = Level.CRITICAL if away else Level.UNKNOWN
    print(f'RAWSTORE {level.name} - {exc.in_full}')
    return int(level)


def run(args: argparse.Namespace, store: stores.Store) -> int:
    """Look, and tell or judge; returns the exit status."""
    # what reads the options, which takes a moment
    from glance_rawstore.cli import seeing

    seen = seeing.look(args.config_file, store, args.timeout)
    limits = Limits(
        args.min_agents,
        (args.stuck_warning, args.stuck_critical),
        args.given_up_warning,
    )
    findings = judging.judge(seen, limits, time.time())
    if args.format == 'json':
        output.print_json(_as_dict(store, seen, findings))
    elif args.check:
        print(judging.line(findings, seen.sight))
    else:
        _print(store, seen, findings)
    return int(judging.worst(findings)) if args.check else 0


def _as_dict(
    store: stores.Store, seen: Condition, findings: list[Finding]
) -> dict[str, Any]:
    """For a program; the names carry the units."""
    return {
        'status': judging.worst(findings).name.lower(),
        'findings': [
            {'level': f.level.name.lower(), 'text': f.text} for f in findings
        ],
        'store': store.name,
        'pool': store.rbd.pool,
        'rights': dict(seen.rights),
        'space': None
        if seen.space is None
        else dict(zip(_SPACE, seen.space, strict=True)),
        'seen': None if seen.sight is None else _sight_dict(seen.sight),
    }


def _sight_dict(sight: Sight) -> dict[str, Any]:
    now = time.time()
    return {
        'agents': sight.agents,
        'copies': {
            'active': sight.active,
            'pending': len(sight.pending),
            'pending_delete': len(sight.trashed),
            'evicted': sight.evicted,
        },
        'active_bytes': sight.active_bytes,
        'pending_delete_bytes': sight.trashed_bytes,
        'budget': output.budget(sight.budget),
        'unattended': sight.unattended,
        'handed_over': sight.handed_over,
        'images_without_copy': sight.failing.counts,
        'given_up': list(sight.failing.given_up),
        'oldest_pending_seconds': _age(sight.oldest_pending, now),
        'oldest_pending_delete_seconds': _age(sight.oldest_trashed, now),
    }


def _age(since: float | None, now: float) -> int | None:
    return None if since is None else round(now - since)


def _print(
    store: stores.Store, seen: Condition, findings: list[Finding]
) -> None:
    may = [name for name, granted in seen.rights.items() if granted]
    rows = [
        ('store', f'{store.name}, in pool {store.rbd.pool}'),
        ('user may', ', '.join(may) or 'nothing'),
        *(_space_rows(seen.space) if seen.space is not None else ()),
        *(_rows(seen.sight) if seen.sight is not None else ()),
        *((f.level.name.lower(), f.text) for f in findings),
    ]
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f'{name:<{width}}  {value}')


def _space_rows(space: tuple[int, int]) -> Iterator[tuple[str, str]]:
    stored, capacity = map(output.size, space)
    yield 'space', f"{stored} of {capacity} taken, servers' images included"


def _rows(sight: Sight) -> Iterator[tuple[str, str]]:
    yield 'agents', str(sight.agents)
    yield 'active', f'{sight.active}, {output.size(sight.active_bytes)}'
    yield (
        'pending',
        f'{sight.running} being made, {sight.unattended} without a worker, '
        f'{sight.handed_over} handed over',
    )
    trashed = f'{len(sight.trashed)}, {output.size(sight.trashed_bytes)}'
    if sight.oldest_trashed is not None:
        age = judging.duration(time.time() - sight.oldest_trashed)
        trashed += f', the oldest for {age}'
    yield 'pending_delete', trashed
    yield 'evicted', str(sight.evicted)
    yield 'budget', _budget(sight.budget)
    failing = sight.failing
    yield (
        'no copy',
        f'{failing.refused} refused, {len(failing.given_up)} given up, '
        f'{failing.retried} to be tried again',
    )


def _budget(found: Budget | None) -> str:
    if found is None or found.limit is None:
        return 'no limit'
    return (
        f'{output.size(found.used)} used and {output.size(found.reserved)} '
        f'reserved of {output.size(found.limit)}'
    )
