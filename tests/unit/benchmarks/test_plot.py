# SPDX-License-Identifier: Apache-2.0
"""What of a result is drawn."""

from benchmarks import contestants
from benchmarks import plot
from benchmarks import volumes

CONTENT = {
    'images': {
        '256 MiB': {'data_bytes': 256 << 20},
        '64 MiB': {'data_bytes': 64 << 20},
        '4096 MiB': {'data_bytes': 4096 << 20},
    },
    'seconds': {
        '256 MiB': {contestants.ALONE: {'median': 2.5}},
        '64 MiB': {contestants.ALONE: {'median': 1.0}},
        '4096 MiB': {},
    },
    'volume_seconds': {'64 MiB': {volumes.CLONE: {'median': 0.4}}},
}


def test_a_line_has_what_was_measured_by_size():
    line = plot.points(CONTENT, contestants.ALONE)
    assert line == [(64.0, 1.0), (256.0, 2.5)]


def test_volumes_have_lines_too():
    assert plot.points(CONTENT, volumes.CLONE) == [(64.0, 0.4)]


def test_what_was_not_measured_has_no_points():
    assert plot.points(CONTENT, contestants.CONVERSION) == []
