# SPDX-License-Identifier: Apache-2.0
"""The options of a raw store's budget and of what is evicted, as data."""

from oslo_config import cfg

#: In the store's own group.
CACHE_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'raw_cache_use_half_life',
        default=259200,
        min=60,
        help="""
Seconds in which the use of a raw copy loses half of its weight, by which the
eviction policy ``popularity`` compares copies: 3 days unless set. Must be
equal on all nodes.
""",
    ),
    cfg.StrOpt(
        'raw_cache_budget',
        default='0',
        help="""
What the raw copies of this store may use in all, as a size with its unit:
``500GiB``, ``1.5TiB``. Before replication; of what else is in the pool
nothing counts. 0 for no such limit. Must be equal on all nodes, as all of
``raw_cache_``.
""",
    ),
    cfg.IntOpt(
        'raw_cache_budget_percent',
        default=0,
        min=0,
        max=100,
        help="""
The same in percent of the pool's quota in bytes or, where it has none, of
what is stored in the pool and free for it. 0 for no such limit. Where
``raw_cache_budget`` is set too, the smaller limit holds.
""",
    ),
    cfg.IntOpt(
        'raw_cache_high_watermark',
        default=95,
        min=1,
        max=100,
        help="""
Percent of the budget above which copies are evicted. Has an effect only with
a budget.
""",
    ),
    cfg.IntOpt(
        'raw_cache_low_watermark',
        default=80,
        min=1,
        max=99,
        help="""
Percent of the budget at which evicting ends. Must be below
``raw_cache_high_watermark``.
""",
    ),
    cfg.StrOpt(
        'raw_cache_eviction_policy',
        default='lru',
        help="""
Which copies are evicted first: ``lru`` (those not handed out for longest),
``popularity`` (those handed out rarely), ``oldest``, ``never`` (none; a new
copy is refused when the budget is used up), or the name of another policy
that is installed.
""",
    ),
]
