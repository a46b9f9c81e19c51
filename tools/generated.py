# SPDX-License-Identifier: Apache-2.0
"""What the programs that generate pages have in common."""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
DIRECTORY = ROOT / 'doc/source/_generated'


def head(program: str) -> str:
    """First line of a page."""
    return f'.. Written by tools/{program}; changes made here are lost.'


def main(program: str, about: str, name: str, text: str) -> int:
    """Write a page, or check it; returns the exit status.

    :param program: its file
    :param about: what it does
    :param name: of the page's file
    :param text: of the page
    """
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument(
        '--check', action='store_true', help='end with 1 if it is stale'
    )
    page = DIRECTORY / name
    if not parser.parse_args().check:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text)
        return 0
    if page.is_file() and page.read_text() == text:
        return 0
    where = page.relative_to(ROOT)
    print(f'{where} is stale: run tools/{program}', file=sys.stderr)
    return 1
