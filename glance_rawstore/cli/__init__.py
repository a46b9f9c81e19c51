# SPDX-License-Identifier: Apache-2.0
"""DOOR: the command ``glance-rawstore``; parser and dispatch."""

import argparse
import logging
import sys
import warnings
from collections.abc import Sequence

from glance_rawstore import exceptions
from glance_rawstore.cli import agent
from glance_rawstore.cli import commands
from glance_rawstore.cli import convert
from glance_rawstore.cli import delete
from glance_rawstore.cli import events
from glance_rawstore.cli import evict
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import list as list_command
from glance_rawstore.cli import logs
from glance_rawstore.cli import protect
from glance_rawstore.cli import purge
from glance_rawstore.cli import reap
from glance_rawstore.cli import reconcile
from glance_rawstore.cli import show
from glance_rawstore.cli import status
from glance_rawstore.cli import verify

_DESCRIPTION = """\
See and manage the raw copies that the Glance store driver rawrbd keeps in
Ceph.

A copy is pending while it is being written, active when it can be cloned, and
pending_delete when it was deleted but clones still need it.
"""

_EXAMPLES = """\
examples:
  glance-rawstore list                       every copy, with sizes and clones
  glance-rawstore list --format json         the same for a program
  glance-rawstore list --watch               the same as it changes
  glance-rawstore show 6e0f...               one image's copy, in full
  glance-rawstore events --follow            what happens to copies, as a log
  glance-rawstore convert --wait 6e0f...     make one, with a progress bar
  glance-rawstore evict 6e0f...              free its space, until asked for
  glance-rawstore delete --unset 6e0f...     no copy, and no wish for one
  glance-rawstore protect 6e0f...            keep it from being evicted
  glance-rawstore verify --all               do all say what originals say?
  glance-rawstore reap                       free what nothing uses any more
  glance-rawstore reap --watch 10            the same every 10 seconds
  glance-rawstore reconcile --dry-run        what the agent would do, and why
  glance-rawstore purge --store raw          give a store up, clean it up
  glance-rawstore agent                      do it, for ever
"""

_GROUPS = (
    ('what is there', (list_command, show, events, status)),
    ('copies of single images', (convert, evict, delete, protect, verify)),
    ('all copies', (reconcile, reap, agent, purge)),
)


def parser() -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog='glance-rawstore',
        formatter_class=argparse.RawDescriptionHelpFormatter,
        usage='%(prog)s [OPTION...] COMMAND [ARGUMENT...]',
    )
    top.add_argument(
        '--config-file',
        action='append',
        metavar='FILE',
        help="Glance's configuration, may be given more than once (default: "
        '/etc/glance/glance-api.conf and what oslo.config finds beside it)',
    )
    top.add_argument(
        '--store',
        metavar='NAME',
        help='the raw store, where more than one is configured',
    )
    top.add_argument(
        '--debug', action='store_true', help='log what is done, to stderr'
    )
    groups = commands.Groups(
        top.add_subparsers(
            title='commands',
            dest='command',
            required=True,
            metavar='COMMAND',
            help='one of those above; COMMAND --help tells more',
            prog='glance-rawstore',
        )
    )
    for title, modules in _GROUPS:
        groups.begin(title)
        for module in modules:
            module.add_parser(groups)
    top.description = f'{_DESCRIPTION}\n{groups}'
    top.epilog = f'{_EXAMPLES}\nexit status:\n{exit_status.table()}'
    return top


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    :param argv: arguments without the program's name; None for those of the
        process
    :returns: the exit status
    """
    args = parser().parse_args(argv)
    logs.begin(logging.DEBUG if args.debug else logging.ERROR)
    if not args.debug:
        # Libraries below glance_store warn about themselves when imported.
        warnings.simplefilter('ignore')
    try:
        return _run(args)
    except exceptions.RawStoreError as exc:
        if args.debug:
            raise
        if 'failed' in args:
            return int(args.failed(args, exc))
        print(f'glance-rawstore: {exc.in_full}', file=sys.stderr)
        return exc.exit_code
    except KeyboardInterrupt:
        return exit_status.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except Exception as exc:
        if args.debug or not _is_of_database(exc):
            raise
        print(
            f"glance-rawstore: Glance's database: {_first_line(exc)}",
            file=sys.stderr,
        )
        return exit_status.FAILED


def _run(args: argparse.Namespace) -> int:
    """Run the command that was given; returns the exit status."""
    from glance_rawstore.cli import configuration
    from glance_rawstore.cli import starting

    store = configuration.raw_store(args.config_file, args.store)
    with configuration.told():
        if 'forever' in args:
            return int(args.run(args, store))
        with starting.interruptible():
            ended = int(args.run(args, starting.bounded(store)))
            _flush()
    return ended


def _is_of_database(exc: Exception) -> bool:
    """Whether an error came out of oslo.db, which most commands never load."""
    return type(exc).__module__.startswith(('oslo_db.', 'sqlalchemy.'))


def _first_line(exc: Exception) -> str:
    return (str(exc).splitlines() or [type(exc).__name__])[0]


def _flush() -> None:
    """Wait for notifications, if there may be any: most need no Glance."""
    loaded = sys.modules.get('glance_rawstore.catalog.sender')
    if loaded is not None:
        loaded.SENDER.flush()


if __name__ == '__main__':
    sys.exit(main())
