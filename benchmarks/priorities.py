# SPDX-License-Identifier: Apache-2.0
"""How much Glance notices of conversions that run with other priorities.

qemu-img is put behind ``nice`` or ``chrt`` (child.py). Other programs of these
names come first in the path here, which do what is chosen.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks import neighbours
from benchmarks import parts

NONE, SCHED_IDLE, FEW = 'nice 0', 'SCHED_IDLE', '4 requests'

#: Stands before the real one; has qemu-img started in another way.
_WRAPPER = """#!/bin/sh
# nice -n N COMMAND..., or chrt --idle 0 COMMAND...
way=$(cat {way})
case $way in
'{idle}') shift 2; exec {chrt} --idle 0 "$@" ;;
'{none}') shift 2; exec "$@" ;;
'{few}')
    for word do
        shift
        test "$before" != -m || word=4
        before=$word
        set -- "$@" "$word"
    done ;;
esac
shift 2
exec {nice} -n 19 "$@"
"""


WAYS = (neighbours.USUAL, SCHED_IDLE, FEW, NONE)


def choice(directory: Path) -> Path:
    """Put programs that do what is chosen there.

    :param directory: that comes first in the path
    :returns: the file that says which of :data:`WAYS` is chosen
    """
    directory.mkdir(exist_ok=True)
    chosen, programs = directory / 'way', ('nice', 'chrt')
    script = _WRAPPER.format(
        way=chosen,
        idle=SCHED_IDLE,
        none=NONE,
        few=FEW,
        **{name: shutil.which(name) for name in programs},
    )
    for name in programs:
        (directory / name).write_text(script)
        (directory / name).chmod(0o755)
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
        neighbours.report_conversions(run, beside)
