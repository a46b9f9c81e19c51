# SPDX-License-Identifier: Apache-2.0
"""Conversions that may write only so much."""

import types

from benchmarks import bed
from benchmarks import limited
from benchmarks import neighbours


def test_each_way_sets_the_limit_of_the_raw_pool(monkeypatch):
    """In bytes a second; and the first one takes off what the last one set."""
    told = []
    cluster = types.SimpleNamespace(rbd=lambda *args: told.append(args))
    cloud = types.SimpleNamespace(raw_pool='images_raw', cluster=cluster)
    stage = types.SimpleNamespace(clouds={bed.OURS: cloud})

    def measure(_run, ways, choose):
        for way in ways:
            choose(way)
        return []

    monkeypatch.setattr(neighbours, 'measure', measure)
    limited._limited(types.SimpleNamespace(stage=stage))

    limit = 'rbd_qos_write_bps_limit'
    assert [args[:-1] for args in told] == [
        ('config', 'pool', 'set', 'images_raw', limit)
    ] * len(limited.RATES)
    assert [int(args[-1]) for args in told] == [
        *(0, 32 << 20, 16 << 20, 8 << 20)
    ]
