# SPDX-License-Identifier: Apache-2.0
"""How the parts of the benchmark are found, and what they have in common."""

import argparse

import pytest

from benchmarks import parts
from benchmarks import report
from benchmarks import results
from benchmarks import targets
from benchmarks.comparisons import Comparison

MACHINE = dict.fromkeys(
    (
        *('date', 'glance_rawstore', 'cpu', 'cores', 'memory_mib', 'kernel'),
        *('ceph', 'qemu', 'glance', 'glance_store', 'python'),
        *('load', 'load_after'),
    ),
    'x',
)


@pytest.fixture
def run(tmp_path):
    options = argparse.Namespace(images=None, data=1, log=None)
    result = results.Result(MACHINE, 2, [])
    with parts.Run(options, result, (), lambda text: None) as run:
        yield run


def test_the_usual_parts_are_found_without_being_named():
    usual = [part.name for part in parts.load().values() if part.usual]
    assert sorted(usual) == [
        *('agent', 'eviction', 'imports', 'view', 'volumes')
    ]


def test_a_part_is_a_function_with_a_line_above_it(monkeypatch):
    monkeypatch.setattr(parts, '_PARTS', {})

    @parts.part('storm', 'many at once')
    def storm(run):
        run.add('20 imports', [3.0])

    found = parts.load()['storm']
    assert (found.says, found.usual) == ('many at once', False)
    assert found.measure is storm


def test_what_a_part_measures_is_in_table_and_json(run):
    run.add('storm', [2.0, 4.0, 9.0])
    run.add('memory', [3 << 20], 'bytes', image='empty')
    lines = [line.split() for line in report.text(run.result, []).splitlines()]
    assert ['storm', '4.00', '2.00', '9.00', 'seconds'] in lines
    assert ['memory', 'empty', '3.0', '3.0', '3.0', 'MiB'] in lines
    assert run.result.as_dict()['measured'][0] == {
        'what': 'storm',
        'image': '',
        'unit': 'seconds',
        'values': [2.0, 4.0, 9.0],
    }


def test_what_a_part_compares_is_judged_with_all_the_others(run):
    run.compare(Comparison('storm / floor', '', 1.2, at_most=1.1))
    run.compare(Comparison('2 workers / 1', '', 1.9, at_least=1.8))
    found = targets.compare(run.result)
    assert [each.met for each in found] == [False, True]
    assert 'NOT met' in report.text(run.result, found)


def test_the_directory_of_images_goes_with_the_run(run):
    directory = run.directory
    assert directory.is_dir()
    run.close()
    assert not directory.exists()
