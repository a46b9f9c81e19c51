# SPDX-License-Identifier: Apache-2.0
"""The ways of conversion that are compared."""

from benchmarks import writes
from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import nodes

SOURCE = nodes.source('qcow2', {'driver': 'file', 'filename': '/s'}, 65536)
TARGET = {'driver': 'file', 'filename': '/t'}


def test_what_others_are_compared_with_is_what_we_do(monkeypatch):
    ran = []
    monkeypatch.setattr(
        convert, '_run', lambda command, *rest: ran.append(list(command))
    )
    convert.QemuImg(child.Limits(1, 1)).convert(
        SOURCE, TARGET, 16, child.Callbacks()
    )

    [ours] = ran
    ours.remove('-p')
    node = {'driver': 'raw', 'file': TARGET}
    assert writes.command(SOURCE, node, writes.OURS) == ours


def test_ways_have_names_of_their_own():
    for ways in (
        *(writes.WAYS, writes.COMPRESSED),
        *(writes.SPARSE, writes.TABLES),
    ):
        names = [way.name for way in ways]
        assert len(set(names)) == len(names)
        assert ways[0] is writes.OURS
