# SPDX-License-Identifier: Apache-2.0
"""The page about the command line tells what the command line does."""

import re
from pathlib import Path

from glance_rawstore import cli
from glance_rawstore.cli import exit_status

PAGE = Path(__file__).parents[3] / 'doc' / 'source' / 'command-line.rst'


def page():
    return PAGE.read_text().replace('``', '')


def test_every_command_is_named_there():
    commands = re.findall(r'^  ([a-z]+) +\w', cli.parser().description, re.M)

    assert len(commands) >= 5
    for command in commands:
        assert re.search(rf'\b{command}\b', page()), command


def test_the_exit_status_is_that_of_the_code():
    for code, meaning in exit_status.TABLE:
        assert re.search(rf'^    {code} +{re.escape(meaning)}', page(), re.M)
