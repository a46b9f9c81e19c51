# SPDX-License-Identifier: Apache-2.0
"""Other priorities of qemu-img, and what is told of them."""

import argparse
import subprocess
import sys

import pytest

from benchmarks import neighbours
from benchmarks import parts
from benchmarks import priorities
from benchmarks import results

#: Policy, nice value, and arguments of itself.
TELL = (
    'import os, sys; '
    'print(os.sched_getscheduler(0), os.nice(0), *sys.argv[1:])'
)
IDLE = ('chrt', '--idle', '0')


@pytest.mark.parametrize(
    ('way', 'told'),
    [
        (neighbours.USUAL, '0 19 -m 16 a b'),
        (priorities.SCHED_IDLE, '5 0 -m 16 a b'),
        (priorities.FEW, '0 19 -m 4 a b'),
        (priorities.NONE, '0 0 -m 16 a b'),
    ],
)
@pytest.mark.parametrize('before', [('nice', '-n', '7'), IDLE])
def test_a_command_is_run_as_was_chosen(tmp_path, way, told, before):
    chosen = priorities.choice(tmp_path / 'bin')
    chosen.write_text(way)

    done = subprocess.run(
        [
            *(chosen.with_name(before[0]), *before[1:]),
            *(sys.executable, '-c', TELL, '-m', '16', 'a b'),
        ],
        check=True,
        capture_output=True,
        text=True,
    )

    assert done.stdout == f'{told}\n'


def test_all_that_was_asked_is_told():
    options = argparse.Namespace(images=None, log=None)
    result = results.Result({}, 2, [])
    beside = neighbours.conversions(neighbours.USUAL)
    for what in (neighbours.IMAGE, neighbours.LIST):
        beside.loaded[what] += [0.011, 0.013, 0.011, 0.013]
        beside.idle[what] += [0.01, 0.01, 0.01, 0.01]
        beside.rounds[what] = [(0.011, 0.01), (0.013, 0.01)]
    beside.took += [3.0, 5.0]
    beside.used['ceph-osd'] = 4.0

    neighbours.report_conversions(
        parts.Run(options, result, (), lambda _: None), beside, 1.25
    )

    found = {one.what: one for one in result.comparisons}
    one = found['GET image, median: beside 2 conversions, nice 19 / idle']
    assert (round(one.value, 3), one.met) == (1.2, True)
    assert tuple(round(x, 3) for x in one.spread) == (1.1, 1.3)
    assert len(found) == 4
    used = [m for m in result.measured if m.unit == 'cores']
    assert [(m.what, m.values) for m in used] == [
        ('cores used by ceph-osd', (0.5,))
    ]
