# SPDX-License-Identifier: Apache-2.0
"""Disks of known shapes."""

import pytest

from benchmarks import guests
from benchmarks import images
from benchmarks.guests import CLUSTER
from benchmarks.guests import KIB
from benchmarks.guests import Shape


@pytest.mark.parametrize(
    ('shape', 'runs'),
    [
        (Shape('whole', CLUSTER, CLUSTER), 5),
        (Shape('apart', CLUSTER, 4 * CLUSTER), 5),
        (Shape('small', 4 * KIB, 2 * CLUSTER), 5),
        (Shape('holes', 12 * KIB, 16 * KIB), 9),
    ],
)
def test_blocks_are_those_that_have_data(shape, runs, tmp_path):
    path = tmp_path / 'disk'
    data = runs * shape.length
    virtual = runs * shape.every

    images.write_disk(path, data, virtual, shape.length, shape.every)

    disk = path.read_bytes()
    assert len(disk) == virtual
    found = [
        disk[at : at + CLUSTER].strip(b'\0')
        for at in range(0, virtual, CLUSTER)
    ]
    assert guests.blocks(shape, data) == sum(map(bool, found)) * CLUSTER


def test_pages_of_data_are_never_zeros(tmp_path):
    path = tmp_path / 'disk'
    images.write_disk(path, 64 * KIB, 128 * KIB, 4 * KIB, 8 * KIB)
    disk = path.read_bytes()
    for at in range(0, len(disk), 8 * KIB):
        assert disk[at : at + 4 * KIB].strip(b'\0')
        assert not disk[at + 4 * KIB : at + 8 * KIB].strip(b'\0')
