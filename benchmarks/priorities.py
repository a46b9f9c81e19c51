# SPDX-License-Identifier: Apache-2.0
"""How much Glance notices of conversions that run with other priorities.

qemu-img is put behind ``nice`` (child.py). Another program of that name comes
first in the path here, which does what is chosen.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks import neighbours
from benchmarks import parts

NONE, SCHED_IDLE, FEW = 'nice 0', 'SCHED_IDLE', '4 requests'

#: Stands before the real one; has qemu-img started in another way.
_NICE = """#!/bin/sh
# nice -n N COMMAND...
way=$(cat {way})
case $way in
'{idle}') shift 2; exec chrt --idle 0 "$@" ;;
'{none}') shift 2; exec "$@" ;;
'{few}')
    for word do
        shift
        test "$before" != -m || word=4
        before=$word
        set -- "$@" "$word"
    done ;;
esac
exec {nice} "$@"
"""


WAYS = (neighbours.USUAL, SCHED_IDLE, FEW, NONE)


def choice(directory: Path) -> Path:
    """Put a ``nice`` that does what is chosen there.

    :param directory: that comes first in the path
    :returns: the file that says which of :data:`WAYS` is chosen
    """
    directory.mkdir(exist_ok=True)
    chosen, nice = directory / 'way', directory / 'nice'
    nice.write_text(
        _NICE.format(
            way=chosen,
            idle=SCHED_IDLE,
            none=NONE,
            few=FEW,
            nice=shutil.which('nice'),
        )
    )
    nice.chmod(0o755)
    return chosen


@parts.part(
    'priorities',
    'the same, with other priorities of qemu-img',
    glances=neighbours.ours,
)
def _priorities(run: parts.Run) -> None:
    chosen = choice(run.directory / 'bin')
    os.environ['PATH'] = f'{chosen.parent}:{os.environ["PATH"]}'
    for beside in neighbours.measure(run, WAYS, chosen.write_text):
        neighbours.report(run, beside)
