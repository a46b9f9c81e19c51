# SPDX-License-Identifier: Apache-2.0
"""Every option, as data. Registered by :func:`register`, called by doors."""

from typing import Any

from oslo_config import cfg

GROUP = 'glance_rawstore'

#: What ``conversion_io_priority`` says, in the words of ``ionice``.
IO_CLASSES: dict[str, tuple[str, ...] | None] = {
    'low': ('--class', 'best-effort', '--classdata', '7'),
    'idle': ('--class', 'idle'),
    'normal': None,
}

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
    cfg.IntOpt(
        'raw_cache_use_half_life',
        default=604800,
        min=60,
        help="""
Seconds in which the use of a raw copy loses half of its weight, by which the
eviction policy ``popularity`` compares copies: 7 days unless set. Must be
equal on all nodes.
""",
    ),
]

CONVERSION_OPTS: list[cfg.Opt] = [
    cfg.BoolOpt(
        'raw_cache_default',
        default=False,
        help="""
Make raw copies of all images that can be converted, unless their property
``raw_cache`` is false. Without it, copies are made of images whose property
``raw_cache`` is true. Must be equal on all nodes.
""",
    ),
    cfg.IntOpt(
        'max_virtual_size',
        default=4096,
        min=1,
        help="""
Largest virtual size, in GiB, of which a raw copy is made. A larger image is
refused; the image itself is not affected.
""",
    ),
    cfg.IntOpt(
        'max_conversions',
        default=2,
        min=1,
        help="""
Conversions that run at once on one node, counted over all processes that
share ``scratch_dir``. More wait as ``pending`` tasks.
""",
    ),
    cfg.IntOpt(
        'conversion_address_space',
        default=4096,
        min=1024,
        help="""
Largest address space, in MiB, of one qemu-img process. librbd reserves
about 1.5 GiB of it for thread stacks without using them.
""",
    ),
    cfg.IntOpt(
        'conversion_cpu_time',
        default=120,
        min=1,
        help="""
CPU time, in seconds, that any qemu-img process may use, whatever the size
of the image. ``conversion_cpu_time_per_gib`` is added to it.
""",
    ),
    cfg.IntOpt(
        'conversion_cpu_time_per_gib',
        default=60,
        min=0,
        help="""
CPU time, in seconds, that a conversion may use for each GiB of the image's
virtual size, beyond ``conversion_cpu_time``. Decompressing zlib takes 5 to
10 seconds for each GiB.
""",
    ),
    cfg.IntOpt(
        'conversion_requests',
        default=16,
        min=1,
        max=16,
        help="""
Requests that one conversion keeps under way to Ceph (``qemu-img -m``).
""",
    ),
    cfg.IntOpt(
        'conversion_nice',
        default=10,
        min=0,
        max=19,
        help="""
How far qemu-img gives way to other processes of the node in processor time,
such as uploads and Ceph's own: its nice value is raised by so much. 0 not at
all; 10 leaves it a tenth of another's share where both want a core; with 19 it
has next to nothing while others are busy. No unit.
""",
    ),
    cfg.StrOpt(
        'conversion_io_priority',
        default='low',
        choices=[
            ('low', 'the lowest of those that always get some'),
            ('idle', 'only when nobody else uses the disk'),
            ('normal', 'that of the service itself'),
        ],
        help="""
Priority of qemu-img at the node's own disks, where originals outside of RBD
are read from. Has an effect with I/O schedulers that know priorities (bfq,
mq-deadline).
""",
    ),
    cfg.IntOpt(
        'slice_size',
        default=1024,
        min=1,
        help="""
Data, in MiB, after which a conversion notes what is done, so that another
worker can go on from there when this one ends. The slices of an image with
more than 128 times as much data are larger.
""",
    ),
    cfg.IntOpt(
        'stall_timeout',
        default=300,
        min=10,
        help="""
Seconds without any progress after which a conversion is given up. A raw
pool that is full is noticed earlier, after 5 to 10 seconds.
""",
    ),
    cfg.IntOpt(
        'lease_duration',
        default=30,
        min=6,
        help="""
Seconds after which the lease of a dead worker runs out, so that another one
may make the copy. Renewed three times in that span. Must be equal on all
nodes.
""",
    ),
    cfg.StrOpt(
        'scratch_dir',
        sample_default='filesystem_store_datadir of [os_glance_tasks_store]',
        help="""
Directory for originals that are not in Ceph, while they are converted, and
for the files by which the processes of one node count their conversions.
The directory of Glance's own ``os_glance_tasks_store`` when not set.
Originals in an rbd store never touch it. Nothing but empty lock files stays
in it, even after a crash.
""",
    ),
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
images with all raw copies. Up to a fifth is added or taken away by chance, so
that several agents do not look at the same time.
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
``/metrics``, without encryption. 0 for none. ``--metrics-port`` of the command
goes before it, for a second agent on one node.
""",
    ),
    cfg.IntOpt(
        'metrics_interval',
        default=15,
        min=1,
        help="""
Seconds between two looks of ``glance-rawstore agent`` at the raw pool for the
figures that it tells Prometheus. A scrape costs Ceph nothing: it is answered
with what was seen last.
""",
    ),
]

#: Every option of the group ``[glance_rawstore]``.
_OPTS = [*CONVERSION_OPTS, *VIEW_OPTS, *AGENT_OPTS, *METRICS_OPTS]


def register(conf: cfg.ConfigOpts) -> None:
    """Register the options of group ``[glance_rawstore]``; repeatable."""
    conf.register_opts(_OPTS, group=GROUP)


def list_opts() -> list[tuple[str, list[Any]]]:
    """Every option for ``oslo-config-generator``.

    The store's options are shown in a group ``[raw]``, the name used
    throughout the documentation; an operator's store may be named otherwise.
    """
    return [(GROUP, _OPTS), ('raw', STORE_OPTS)]
