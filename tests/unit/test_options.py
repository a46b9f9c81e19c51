# SPDX-License-Identifier: Apache-2.0
"""Options as plain values, in seconds and bytes."""

import os
import tempfile

import pytest

from glance_rawstore import child
from glance_rawstore import exceptions
from glance_rawstore import options
from glance_rawstore.lifecycle.budget import Limits
from tests.unit import configured

MIB = 1 << 20
GIB = 1 << 30


def read(directory, more='', **kwargs):
    conf = configured.read(directory, configured.USUAL + more, **kwargs)
    return options.Options.read(conf, 'raw')


def test_the_defaults_are_those_of_the_manual(tmp_path):
    assert read(tmp_path) == options.Options(
        max_size=4096 * GIB,
        max_conversions=2,
        address_space=4096 * MIB,
        cpu_time=120,
        cpu_time_per_gib=60,
        requests=16,
        stall_timeout=300,
        lease_duration=30,
        scratch_dir=f'{tempfile.gettempdir()}/glance-rawstore-{os.geteuid()}',
        object_size=8 * MIB,
        weight=100,
        node_weights={},
    )


def test_every_option_is_read(tmp_path):
    found = read(
        tmp_path,
        """
    rbd_store_chunk_size = 4
    raw_copy_weight = -3
    raw_copy_node_weights = compute-1:200, compute-2:-5
    raw_cache_budget = 500GiB
    raw_cache_budget_percent = 70
    raw_cache_high_watermark = 90
    raw_cache_low_watermark = 50
    raw_cache_eviction_policy = popularity
    raw_cache_use_half_life = 60
    [glance_rawstore]
    max_virtual_size = 1
    max_conversions = 5
    convert_staged = always
    conversion_address_space = 1024
    conversion_cpu_time = 1
    conversion_cpu_time_per_gib = 0
    conversion_requests = 1
    conversion_workers = 2
    stall_timeout = 10
    lease_duration = 6
    scratch_dir = /var/scratch
    """,
    )

    assert found == options.Options(
        max_size=GIB,
        max_conversions=5,
        address_space=1024 * MIB,
        cpu_time=1,
        cpu_time_per_gib=0,
        requests=1,
        workers=2,
        stall_timeout=10,
        lease_duration=6,
        scratch_dir='/var/scratch',
        object_size=4 * MIB,
        weight=-3,
        node_weights={'compute-1': 200, 'compute-2': -5},
        budget=Limits(bytes=500 * GIB, percent=70, high=90, low=50),
        eviction_policy='popularity',
        use_half_life=60,
        staged='always',
    )


@pytest.mark.parametrize('value', ['heavy', '1.5', ''])
def test_the_weight_of_a_node_must_be_a_number(tmp_path, value):
    with pytest.raises(exceptions.BadSetup, match=r'\[raw\] must be'):
        read(tmp_path, f'    raw_copy_node_weights = n1:{value}\n')


def test_scratch_is_where_glance_has_its_tasks_unless_it_is_named(tmp_path):
    text = '    [os_glance_tasks_store]\n    filesystem_store_datadir = /w\n'

    assert read(tmp_path, text, reserved=True).scratch_dir == '/w'
    named = text + '    [glance_rawstore]\n    scratch_dir = /x\n'
    assert read(tmp_path, named, reserved=True).scratch_dir == '/x'


def test_scratch_is_where_glance_would_have_its_tasks_by_default(tmp_path):
    found = read(tmp_path, reserved=True)

    assert found.scratch_dir == '/var/lib/glance/os_glance_tasks_store'


@pytest.mark.parametrize(
    ('size', 'seconds'),
    [
        (0, 120),
        (1, 180),
        (GIB, 180),
        (GIB + 1, 240),
        (10 * GIB, 720),
        (2048 * GIB, 123000),
    ],
)
def test_cpu_time_grows_with_the_virtual_size(tmp_path, size, seconds):
    assert read(tmp_path).limits(size) == child.Limits(
        address_space=4096 * MIB,
        cpu_time=seconds,
        stall=300,
        nice=19,
        io_class=('--class', 'best-effort', '--classdata', '7'),
    )


@pytest.mark.parametrize(
    ('value', 'cpu', 'io_class'),
    [
        (
            'low',
            (19, False),
            ('--class', 'best-effort', '--classdata', '7'),
        ),
        ('idle', (19, True), ('--class', 'idle')),
        ('normal', (0, False), None),
    ],
)
def test_priorities_are_told(tmp_path, value, cpu, io_class):
    text = (
        f'    [glance_rawstore]\n    conversion_cpu_priority = {value}\n'
        f'    conversion_io_priority = {value}\n'
    )

    limits = read(tmp_path, text).limits(GIB)

    assert (limits.nice, limits.idle) == cpu
    assert limits.io_class == io_class


@pytest.mark.parametrize(
    ('text', 'size'),
    [
        ('0', 0),
        ('1073741824', GIB),
        ('500GiB', 500 * GIB),
        ('1.5 TiB', 1536 * GIB),
        ('2GB', 2_000_000_000),
    ],
)
def test_a_budget_has_a_unit(tmp_path, text, size):
    found = read(tmp_path, f'    raw_cache_budget = {text}\n')

    assert found.budget.bytes == size
    assert found.budget.limited is bool(size)


@pytest.mark.parametrize('text', ['much', '-1GiB', '1e3', '', '5 apples'])
def test_a_budget_must_be_a_size(tmp_path, text):
    with pytest.raises(exceptions.BadSetup, match='raw_cache_budget must'):
        read(tmp_path, f'    raw_cache_budget = {text}\n')


@pytest.mark.parametrize(('high', 'low'), [(80, 80), (70, 80), (1, 1)])
def test_the_low_watermark_must_be_below_the_high_one(tmp_path, high, low):
    with pytest.raises(
        exceptions.BadSetup, match=rf'\[raw\]: .*\({low}\).*\({high}\)'
    ):
        read(
            tmp_path,
            f'    raw_cache_high_watermark = {high}\n'
            f'    raw_cache_low_watermark = {low}\n',
        )
