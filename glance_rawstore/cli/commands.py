# SPDX-License-Identifier: Apache-2.0
"""The commands in groups, as ``--help`` lists them."""

import argparse
from typing import Any

_WIDTH = 12


class Groups:
    """Sub-commands that are listed by group, which argparse does not know.

    :param commands: what ``add_subparsers`` returned
    """

    def __init__(self, commands: Any) -> None:
        self._commands = commands
        self._lines: list[str] = []

    def begin(self, title: str) -> None:
        """Begin a group."""
        self._lines += [*([''] if self._lines else []), f'{title}:']

    def add_parser(
        self, name: str, help: str, **kwargs: Any
    ) -> argparse.ArgumentParser:
        """As that of argparse, whose own list it is left out of.

        :param help: one line
        """
        self._lines.append(f'  {name:<{_WIDTH}}{help}')
        parser: argparse.ArgumentParser = self._commands.add_parser(
            name, **kwargs
        )
        return parser

    def __str__(self) -> str:
        """The list."""
        return '\n'.join(self._lines)
