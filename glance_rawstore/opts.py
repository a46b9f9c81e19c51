# SPDX-License-Identifier: Apache-2.0
"""Every option, as data. Registered by :func:`register`, called by doors."""

from typing import Any

from oslo_config import cfg

from glance_rawstore import cache_opts
from glance_rawstore import conversion_opts

GROUP = 'glance_rawstore'

#: Options of the raw store itself, in the store's own group.
STORE_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'raw_copy_weight',
        default=100,
        help="""
Metrics weight written on the location of a raw copy whose image has no
``raw_cache_weight`` property. Clients prefer the heaviest location. Not to
be confused with ``weight``, the store's own weight, by which Glance chooses
where to read the original from. No unit.
""",
    ),
    cfg.DictOpt(
        'raw_copy_node_weights',
        default={},
        help="""
Weights that hold on single nodes only, as ``node:weight`` pairs, written to
the location of every new raw copy in this store. No unit. Example:
``compute-1:200,compute-2:50``.
""",
    ),
    *cache_opts.CACHE_OPTS,
]

VIEW_OPTS: list[cfg.Opt] = [
    cfg.StrOpt(
        'raw_view',
        default='service',
        choices=[
            ('service', 'only the services of raw_view_services'),
            ('always', 'everybody who asks this API'),
            ('never', 'nobody'),
        ],
        help="""
Who is shown an image's raw copy in place of the original. ``always`` is for
an endpoint that services alone can reach. Has an effect only where the paste
filter ``raw_view`` is in the pipeline of glance-api.
""",
    ),
    cfg.ListOpt(
        'raw_view_services',
        default=['nova', 'cinder'],
        help="""
Names of the service users that are shown raw copies: those whose service
token comes with a request, or who ask for themselves, with the role
``service`` in either case.
""",
    ),
]

AGENT_OPTS: list[cfg.Opt] = [
    cfg.IntOpt(
        'reconcile_interval',
        default=60,
        min=1,
        help="""
Seconds between two passes in which ``glance-rawstore agent`` compares all
images with all raw copies. Up to a fifth is added or taken away by chance,
so that several agents do not look at the same time.
""",
    ),
    cfg.IntOpt(
        'reap_interval',
        default=5,
        min=1,
        help="""
Seconds between two passes in which ``glance-rawstore agent`` looks whether
deleted copies have lost their last clone.
""",
    ),
    cfg.IntOpt(
        'retry_delay',
        default=60,
        min=1,
        help="""
Seconds after which a failed conversion is tried again by ``glance-rawstore
agent``. Each further failure doubles them, up to an hour. What is refused is
not tried again before the image is changed.
""",
    ),
    cfg.IntOpt(
        'retry_limit',
        default=5,
        min=1,
        help="""
Failed conversions after which an image is given up, until it is changed. No
unit.
""",
    ),
]

METRICS_OPTS: list[cfg.Opt] = [
    cfg.HostAddressOpt(
        'metrics_address',
        default='127.0.0.1',
        help="""
Address at which ``glance-rawstore agent`` answers Prometheus, if
``metrics_port`` is set. Whoever can reach it can read the figures: numbers
and the names of stores and policies, nothing of any image or tenant.
""",
    ),
    cfg.PortOpt(
        'metrics_port',
        default=0,
        help="""
TCP port at which ``glance-rawstore agent`` answers Prometheus, under
``/metrics``, without encryption. 0 for none. ``--metrics-port`` of the
command goes before it, for a second agent on one node.
""",
    ),
    cfg.IntOpt(
        'metrics_interval',
        default=15,
        min=1,
        help="""
Seconds between two looks of ``glance-rawstore agent`` at the raw pool for
the figures that it tells Prometheus. A scrape costs Ceph nothing: it is
answered with what was seen last.
""",
    ),
]

#: Every option of the group ``[glance_rawstore]``.
_OPTS = [
    *conversion_opts.CONVERSION_OPTS,
    *VIEW_OPTS,
    *AGENT_OPTS,
    *METRICS_OPTS,
]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of group ``[glance_rawstore]``; repeatable."""
    conf.register_opts(_OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Every option for ``oslo-config-generator``.

    The store's options are shown in a group ``[raw]``, the name used
    throughout the documentation; an operator's store may be named otherwise.
    """
    return [(GROUP, _OPTS), ('raw', STORE_OPTS)]
