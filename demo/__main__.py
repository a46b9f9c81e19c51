# SPDX-License-Identifier: Apache-2.0
"""The command line of the demo.

Imports little, so that --help works before anything is installed.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import warnings
from pathlib import Path
from types import FrameType
from typing import NoReturn

_DESCRIPTION = """\
Shows what glance-rawstore is for, on a real Ceph and a real Glance that are
started for it on this machine: a tenant imports a qcow2, a raw copy appears,
it is cloned and booted from, the image is deleted, and the raw copy goes with
the last clone. Every command is one that you could type, every output is
real, and every claim is checked.

It takes a minute or two, needs neither root nor a network, and leaves nothing
behind, on Ctrl-C either.
"""

_EPILOG = """\
examples:
  tools/run-demo                     the story, in colour on a terminal
  tools/run-demo | tee demo.txt      the same as plain text
  tools/run-demo --json facts.json   and what was measured, for a program
  tools/run-demo --keep              and a cloud to play with afterwards

exit status:
  0 all was as said, 1 something was not, 2 wrong usage, 130 interrupted
"""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog='tools/run-demo',
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        '--json',
        type=Path,
        metavar='FILE',
        help='write the measured facts to FILE as one JSON object; '
        'demo/README.rst says what each of them is',
    )
    parser.add_argument(
        '--keep',
        action='store_true',
        help='leave the cloud up until Ctrl-C, and say how to use it',
    )
    return parser


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    """Stop as on Ctrl-C; what is taken down then is not disturbed again."""
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo; returns its exit status."""
    arguments = _parser().parse_args()
    if arguments.json is not None and not arguments.json.parent.is_dir():
        _parser().error(f'no such directory: {arguments.json.parent}')
    for number in _SIGNALS:
        signal.signal(number, _stop)
    # Libraries warn about themselves and each other.
    warnings.simplefilter('ignore')
    logging.disable(logging.CRITICAL)
    try:
        from demo import story

        return story.tell(arguments.json, arguments.keep)
    except KeyboardInterrupt:
        print('\nInterrupted; everything is taken down.', file=sys.stderr)
        return 130


if __name__ == '__main__':
    sys.exit(main())
