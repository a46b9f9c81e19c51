# SPDX-License-Identifier: Apache-2.0
"""Generated pages say what the code does."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    'name', ['gen_states', 'gen_metrics', 'gen_performance']
)
def test_no_generated_page_is_stale(name):
    done = subprocess.run(
        [sys.executable, ROOT / f'tools/{name}.py', '--check'],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
