# SPDX-License-Identifier: Apache-2.0
"""Glance beside conversions, and beside writes that nobody converts."""

import argparse
import types

import psutil
import pytest

from benchmarks import bed
from benchmarks import beside
from benchmarks import neighbours
from benchmarks import parts
from benchmarks import plain_writes
from benchmarks import results
from tests.processes import ProcessError
from tests.waiting import eventually


@pytest.fixture
def stage(tmp_path, monkeypatch):
    """A cluster of which ``rbd`` only writes down what it is told."""
    log, program = tmp_path / 'log', tmp_path / 'bin' / 'rbd'
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> {log}\nexec sleep 60\n')
    program.chmod(0o755)
    monkeypatch.setenv('PATH', str(program.parent), prepend=':')
    created = []
    cluster = types.SimpleNamespace(
        conf=tmp_path / 'ceph.conf', rbd=lambda *args: created.append(args)
    )
    return types.SimpleNamespace(
        cluster=cluster,
        created=created,
        log=log,
        settle=lambda: None,
        program=program,
    )


def told(stage):
    return stage.log.read_text().splitlines() if stage.log.exists() else []


def ended(stage):
    """It has begun, and nothing of it runs any more."""
    children = psutil.Process().children()
    running = [c for c in children if c.status() != psutil.STATUS_ZOMBIE]
    return told(stage) and not running


def test_as_many_clients_write_so_many_bytes_together(stage):
    with plain_writes.running(stage, 2, 60e6):
        eventually(lambda: len(told(stage)) == 2, 'both write')

    assert [args[-1] for args in stage.created] == [
        f'{bed.POOL}/plain-0',
        f'{bed.POOL}/plain-1',
    ]
    for command in told(stage):
        assert f'bench {bed.POOL}/plain-' in command
        assert '--rbd_qos_write_bps_limit=30000000' in command


def test_writers_that_fail_are_no_result(stage):
    stage.program.write_text(f'#!/bin/sh\necho x >> {stage.log}\n')
    with (
        pytest.raises(ProcessError, match='ended early'),
        plain_writes.running(stage, 1, 1e6),
    ):
        eventually(lambda: ended(stage), 'it has ended')


def test_writes_are_as_many_as_those_of_conversions(stage, monkeypatch):
    """And Glance is asked beside them as it was beside conversions."""
    image = types.SimpleNamespace(data=100 << 20)
    result = results.Result({}, 1, [image])
    options = argparse.Namespace(images=None, log=None)
    run = parts.Run(options, result, (), lambda _: None)
    run._stage = stage
    idle, loaded = neighbours.IDLE, 2 * neighbours.IDLE
    seconds = iter([0.01] * idle + [0.02] * loaded + [0.01] * idle)

    def batch(into):
        taken = next(seconds)
        if taken == 0.02:
            eventually(lambda: told(stage), 'something is written')
        for what in into:
            into[what].append(taken)

    def conversions(_run, _asking, ours):
        ours.note(*({w: [s] for w in ours.loaded} for s in (0.03, 0.01)))
        ours.took.append(10.0)

    monkeypatch.setattr(bed, 'SETTLE', 0.0)
    monkeypatch.setattr(neighbours, '_round', conversions)
    asking = types.SimpleNamespace(batch=batch)
    monkeypatch.setattr(neighbours, '_prepare', lambda _run: asking)
    monkeypatch.setattr(beside, '_p95', max)

    neighbours._neighbour(run)

    rate = neighbours.CONVERSIONS * (100 << 20) / 10 / neighbours.AT_ONCE
    assert f'--rbd_qos_write_bps_limit={int(rate)}' in told(stage)[0]
    found = {c.what: round(c.value, 3) for c in result.comparisons}
    ours, plain = 'beside 2 conversions, nice 19', 'beside plain writes'
    assert found[f'GET image, median: {ours} / idle'] == 3.0
    assert found[f'GET image, median: {plain} / idle'] == 2.0
    assert found[f'GET image, median: {ours} / {plain}'] == 1.5
    judged = {c.what for c in result.comparisons if c.at_most is not None}
    assert judged == {
        f
        for f in found
        if f.startswith('GET') and ours in f and f.endswith('/ idle')
    }
