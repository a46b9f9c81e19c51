# SPDX-License-Identifier: Apache-2.0
"""The options of one raw store as plain values, in seconds and bytes."""

import dataclasses
import os
import tempfile
from typing import Any

from oslo_config import cfg
from oslo_utils import strutils
from oslo_utils import units

from glance_rawstore import child
from glance_rawstore import conversion_opts
from glance_rawstore import exceptions
from glance_rawstore import opts
from glance_rawstore import stores
from glance_rawstore.lifecycle.budget import Limits


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of ``[glance_rawstore]`` and the raw store, in SI or bytes.

    :param max_size: largest virtual size, in bytes
    :param max_conversions: that run at once on this node
    :param max_cluster: that run at once in the raw pool; 0 for any number
    :param object_size: of the copies, in bytes
    :param slice_size: data of a slice, in bytes
    :param workers: that write one copy together, on any nodes, at most
    :param use_half_life: seconds in which a use loses half of its weight
    :param staged: when to convert from the staged file: "auto", "always",
        "after" or "never"
    :param cpu: ``nice`` and ``idle`` of :class:`child.Limits`
    :param io_class: see there
    :param by_default: a copy of every convertible image is wished for
    :param budget: what all copies may use
    :param eviction_policy: its name
    :param store: name of the raw store
    """

    max_size: int
    max_conversions: int
    address_space: int
    cpu_time: int
    cpu_time_per_gib: int
    requests: int
    stall_timeout: int
    lease_duration: int
    scratch_dir: str
    object_size: int
    weight: int
    node_weights: dict[str, int]
    max_cluster: int = 0
    by_default: bool = False
    retry_delay: int = 60
    retry_limit: int = 5
    slice_size: int = units.Gi
    workers: int = 4
    use_half_life: int = 3 * 24 * 3600
    cpu: tuple[int, bool] = conversion_opts.CPU_PRIORITIES['low']
    staged: str = 'auto'
    io_class: tuple[str, ...] | None = conversion_opts.IO_CLASSES['low']
    budget: Limits = dataclasses.field(default_factory=Limits)
    eviction_policy: str = 'lru'
    store: str = 'raw'

    @classmethod
    def read(cls, conf: cfg.ConfigOpts, store: str) -> 'Options':
        """Read them for one raw store; its options must be registered.

        :param store: name of the raw store
        :raises BadSetup: an option cannot be read
        """
        opts.register(conf)
        ours = conf[opts.GROUP]
        return cls(
            max_size=ours.max_virtual_size * units.Gi,
            max_conversions=ours.max_conversions,
            max_cluster=ours.max_conversions_cluster,
            address_space=ours.conversion_address_space * units.Mi,
            cpu_time=ours.conversion_cpu_time,
            cpu_time_per_gib=ours.conversion_cpu_time_per_gib,
            requests=ours.conversion_requests,
            stall_timeout=ours.stall_timeout,
            lease_duration=ours.lease_duration,
            scratch_dir=scratch_dir(conf),
            object_size=stores.option(conf, store, 'rbd_store_chunk_size', 8)
            * units.Mi,
            weight=_of_store(conf, store, 'raw_copy_weight'),
            node_weights=_weights(
                _of_store(conf, store, 'raw_copy_node_weights'), store
            ),
            by_default=ours.raw_cache_default,
            retry_delay=ours.retry_delay,
            retry_limit=ours.retry_limit,
            slice_size=ours.slice_size * units.Mi,
            workers=ours.conversion_workers,
            cpu=conversion_opts.CPU_PRIORITIES[ours.conversion_cpu_priority],
            staged=ours.convert_staged,
            io_class=conversion_opts.IO_CLASSES[ours.conversion_io_priority],
            use_half_life=_of_store(conf, store, 'raw_cache_use_half_life'),
            budget=limits(conf, store),
            store=store,
            eviction_policy=_of_store(
                conf, store, 'raw_cache_eviction_policy'
            ),
        )

    def limits(self, virtual_size: int) -> child.Limits:
        """Limits of a child process for an image of that size, in bytes."""
        gib = -(-virtual_size // units.Gi)
        nice, idle = self.cpu
        return child.Limits(
            address_space=self.address_space,
            cpu_time=self.cpu_time + self.cpu_time_per_gib * gib,
            stall=self.stall_timeout,
            nice=nice,
            idle=idle,
            io_class=self.io_class,
        )


#: Of the options of a raw store, where they are not registered.
_DEFAULTS = {option.dest: option.default for option in opts.STORE_OPTS}


def _of_store(conf: cfg.ConfigOpts, store: str, name: str) -> Any:
    return stores.option(conf, store, name, _DEFAULTS[name])


def _weights(pairs: dict[str, str], store: str) -> dict[str, int]:
    try:
        return {node: int(value) for node, value in pairs.items()}
    except ValueError as exc:
        raise exceptions.BadSetup(
            f'raw_copy_node_weights in [{store}] must be node:number pairs.'
        ) from exc


def limits(conf: cfg.ConfigOpts, store: str) -> Limits:
    """What the copies of a raw store may use.

    :raises BadSetup: saying what to change
    """
    found = Limits(
        bytes=_size(_of_store(conf, store, 'raw_cache_budget')),
        percent=_of_store(conf, store, 'raw_cache_budget_percent'),
        high=_of_store(conf, store, 'raw_cache_high_watermark'),
        low=_of_store(conf, store, 'raw_cache_low_watermark'),
    )
    wrong = found.wrong()
    if wrong is not None:
        raise exceptions.BadSetup(f'[{store}]: {wrong}')
    return found


def _size(text: str) -> int:
    """Bytes, of a number with or without a unit."""
    try:
        if text.strip().isdecimal():
            return int(text)
        size = strutils.string_to_bytes(
            text.replace(' ', ''), 'mixed', return_int=True
        )
    except ValueError as exc:
        raise exceptions.BadSetup(
            f'raw_cache_budget must be a size such as 500GiB, not {text!r}.'
        ) from exc
    return int(size)


def scratch_dir(conf: cfg.ConfigOpts) -> str:
    """Where originals are spooled and conversions are counted."""
    configured = conf[opts.GROUP].scratch_dir or stores.option(
        conf, 'os_glance_tasks_store', 'filesystem_store_datadir'
    )
    own = f'glance-rawstore-{os.geteuid()}'
    return str(configured or os.path.join(tempfile.gettempdir(), own))
