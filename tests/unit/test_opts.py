# SPDX-License-Identifier: Apache-2.0
"""The options as data: what an operator reads, and what is refused."""

import re

import pytest
from oslo_config import cfg

from glance_rawstore import opts

ALL = [opt for _group, options in opts.list_opts() for opt in options]


def conf(**values):
    """A configuration with our options, some of them set."""
    found = cfg.ConfigOpts()
    opts.register(found)
    found([], project='test', default_config_files=[])
    for name, value in values.items():
        found.set_override(name, value, group=opts.GROUP)
    return found


def test_the_groups_are_ours_and_that_of_a_store():
    assert [group for group, _ in opts.list_opts()] == [
        'glance_rawstore',
        'raw',
    ]


@pytest.mark.parametrize('opt', ALL, ids=lambda opt: opt.name)
def test_every_option_says_what_it_is_and_in_which_unit(opt):
    text = ' '.join(opt.help.split())

    assert text[0].isupper()
    assert text.endswith('.')
    if isinstance(opt, cfg.IntOpt | cfg.FloatOpt):
        units = r'GiB|MiB|[Ss]econds|[Pp]ercent|No unit|Conversions|Requests'
        assert re.search(units, text)


@pytest.mark.parametrize('opt', ALL, ids=lambda opt: opt.name)
def test_every_number_of_ours_has_a_default_within_its_bounds(opt):
    if isinstance(opt, cfg.IntOpt):
        assert opt.type(str(opt.default)) == opt.default


def test_names_are_unique():
    assert len({opt.name for opt in ALL}) == len(ALL)


def test_registering_twice_is_allowed():
    """Each door does it, and several may be open in one process."""
    found = conf()

    opts.register(found)

    assert found.glance_rawstore.max_conversions == 2


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('max_virtual_size', 0),
        ('max_conversions', 0),
        ('conversion_address_space', 1023),
        ('conversion_cpu_time', 0),
        ('conversion_cpu_time_per_gib', -1),
        ('conversion_requests', 0),
        ('conversion_requests', 17),
        ('stall_timeout', 9),
        ('lease_duration', 5),
    ],
)
def test_a_value_out_of_bounds_is_refused(name, value):
    with pytest.raises(ValueError, match='Should be'):
        conf(**{name: value})
