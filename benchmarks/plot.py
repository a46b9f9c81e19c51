# SPDX-License-Identifier: Apache-2.0
"""Time by size of the image, drawn from what ``--only sizes`` has measured.

::

    python -m benchmarks.plot benchmarks/results/...-sizes.json

writes doc/source/images/time-by-size.svg; the same JSON gives the same file.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benchmarks import contestants as rows
from benchmarks import volumes
from benchmarks.images import MIB

DRAWING = Path(__file__).parents[1] / 'doc/source/images/time-by-size.svg'

# The lines of the drawing: row, what the legend calls it, its colour.
LINES = (
    (volumes.DOWNLOAD, 'Cinder: download and convert, each volume', '#9467bd'),
    (rows.CONVERSION, 'image_conversion: clonable', '#d62728'),
    (rows.OURS_RAW, 'glance-rawstore: clonable', '#1f77b4'),
    (rows.ALONE, 'Glance alone: active, nothing to clone', '#7f7f7f'),
    (rows.QEMU_IMG_FILE, 'qemu-img alone, from a local file', '#2ca02c'),
    (volumes.CLONE, 'Cinder: clone of the raw copy, each volume', '#ff7f0e'),
)

# Points of one line: MiB of data, and median seconds.
Points = list[tuple[float, float]]


def points(content: dict[str, Any], row: str) -> Points:
    """Return a row's median seconds by MiB of data, smallest first.

    :param content: the JSON of a result
    """
    found = [
        (facts['data_bytes'] / MIB, timed[name][row]['median'])
        for name, facts in content['images'].items()
        for timed in (content['seconds'], content['volume_seconds'])
        if row in timed.get(name, {})
    ]
    return sorted(found)


def draw(content: dict[str, Any], path: Path) -> None:
    """Draw the lines of all rows that were measured, as SVG."""
    # not needed by any part, so not by who only measures
    try:
        import matplotlib as mpl
    except ImportError as exc:
        raise SystemExit(
            'matplotlib is missing: pip install -r benchmarks/requirements.txt'
        ) from exc

    mpl.use('svg')
    # Without these the ids differ each time; and text stays text.
    mpl.rcParams['svg.hashsalt'] = 'glance-rawstore'
    mpl.rcParams['svg.fonttype'] = 'none'
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 5.5), layout='constrained')
    ticks: set[float] = set()
    for row, name, colour in LINES:
        line = points(content, row)
        if line:
            ticks.update(data for data, _ in line)
            axes.plot(*zip(*line, strict=True), 'o-', color=colour, label=name)
    axes.set_xscale('log', base=2)
    axes.set_yscale('log')
    axes.set_xticks(sorted(ticks), [f'{data:.0f}' for data in sorted(ticks)])
    axes.yaxis.set_major_formatter('{x:g}')
    axes.set_xlabel('data in the image (MiB; the disk is four times as large)')
    axes.set_ylabel('seconds')
    axes.grid(which='both', alpha=0.2)
    figure.legend(loc='outside lower center', ncols=2, fontsize='small')
    figure.savefig(path, metadata={'Date': None})


def main() -> int:
    """Draw it, and say where."""
    parser = argparse.ArgumentParser(prog='python -m benchmarks.plot')
    parser.add_argument('result', type=Path, help='JSON of --only sizes')
    parser.add_argument('--to', type=Path, default=DRAWING, metavar='FILE')
    options = parser.parse_args()
    draw(json.loads(options.result.read_text()), options.to)
    print(f'written to {options.to}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
