# SPDX-License-Identifier: Apache-2.0
"""The options of conversions, as data; :mod:`glance_rawstore.opts` has all."""

from oslo_config import cfg

#: What ``conversion_cpu_priority`` says: the nice value, and whether
#: SCHED_IDLE is wanted rather than that.
CPU_PRIORITIES: dict[str, tuple[int, bool]] = {
    'idle': (19, True),
    'low': (19, False),
    'normal': (0, False),
}

#: What ``conversion_io_priority`` says, in the words of ``ionice``.
IO_CLASSES: dict[str, tuple[str, ...] | None] = {
    'low': ('--class', 'best-effort', '--classdata', '7'),
    'idle': ('--class', 'idle'),
    'normal': None,
}

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
share ``scratch_dir``. One that has written all its data counts no more,
though it has still to be committed: up to as many again do that. More wait
as ``pending`` tasks.
""",
    ),
    cfg.IntOpt(
        'max_conversions_cluster',
        default=0,
        min=0,
        help="""
Conversions that run at once in one raw pool, over all nodes; 0 for as many
as the nodes' ``max_conversions`` allow. For where more would be too much for
the OSDs. Who waits for one of them has one of his node's already. Those of a
node that died count for ``lease_duration`` more. Must be equal on all nodes.
""",
    ),
    cfg.StrOpt(
        'convert_staged',
        default='auto',
        choices=[
            (
                'auto',
                'like always while three cores are idle, else like after',
            ),
            ('always', 'beside the upload, however busy the node is'),
            ('after', 'as soon as the upload has ended'),
            ('never', 'read the original back, when it is stored'),
        ],
        help="""
Convert from the staged file of an import, if that is on this node and one of
``max_conversions`` is free at once, instead of reading the original back. The
copy is ready sooner. Beside the upload it is ready sooner yet, but where cores
or OSDs are busy the image itself is active later. Whether cores are idle is
told by the load of the last minute. The file takes space in the staging
directory until it is converted, though it has no name any more. One that
waits for its upload to end gives its place up when another conversion waits
for one.
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
    cfg.StrOpt(
        'conversion_cpu_priority',
        default='low',
        choices=[
            ('low', 'a seventieth of the share of another (nice 19)'),
            ('idle', 'cores that nobody else wants just now (SCHED_IDLE)'),
            ('normal', 'that of the service itself'),
        ],
        help="""
Priority of qemu-img in processor time, beside other processes of the node
such as uploads and Ceph's own. With *idle* it gets about 1/300 of a core
that others want all of the time, with *low* 1/70. Where SCHED_IDLE is
refused, *idle* is *low*.
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
        'conversion_workers',
        default=4,
        min=1,
        help="""
Workers that write one copy together, at most, on all nodes. The one that
makes it is helped by agents that have one of ``max_conversions`` to spare,
where the original is in an rbd store and has more data than ``slice_size``.
They give it back as soon as a conversion waits for it. 1 for no help. No
unit.
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
