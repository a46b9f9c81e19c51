# SPDX-License-Identifier: Apache-2.0
"""How long Glance takes to answer where Ceph does not share its cores.

Everywhere else an OSD is not on a node of the API, so what it does for a
conversion takes nothing of what Glance has. Here it has one of the cores, with
whoever asks, and Glance and its children have another one.
"""

from __future__ import annotations

from benchmarks import cores
from benchmarks import neighbours
from benchmarks import parts


@parts.part(
    'apart',
    'how long Glance takes to answer beside conversions, with Ceph on a core '
    'of its own',
    glances=neighbours.ours,
)
def _apart(run: parts.Run) -> None:
    (found,) = neighbours.measure(
        run, [neighbours.USUAL], lambda _way: cores.divide()
    )
    neighbours.report_conversions(run, found, neighbours.AT_MOST)
