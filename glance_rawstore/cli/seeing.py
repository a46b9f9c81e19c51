# SPDX-License-Identifier: Apache-2.0
"""See how a raw store is, within bounded time."""

import dataclasses
import time
from collections.abc import Sequence

from glance_rawstore import exceptions
from glance_rawstore import options
from glance_rawstore import opts
from glance_rawstore import raw_pool
from glance_rawstore import rights
from glance_rawstore import stores
from glance_rawstore.agent.collecting import Collector
from glance_rawstore.agent.sight import Sight
from glance_rawstore.cli import configuration
from glance_rawstore.cli.judging import Condition

#: Trashed copies, the oldest first, of which it is seen who uses them.
LOOKED_AT = 100


def look(
    files: Sequence[str] | None, store: stores.Store, timeout: int
) -> Condition:
    """How it is now.

    :param files: paths of Glance's configuration, or None
    :param timeout: seconds for each answer of Ceph
    :raises CephUnavailable: there was none
    :raises BadSetup: saying what to change
    """
    conf = configuration.load(files)
    opts.register(conf)
    limits = options.limits(conf, store.name)
    collector = Collector(conf[opts.GROUP].retry_limit, limits)
    settings = dataclasses.replace(store.rbd, timeout=timeout)
    with raw_pool.RawPool.open(settings) as pool:
        may = rights.of_pool(pool)
        for other in stores.read(conf).values():
            if not other.is_raw and other.settings is not None:
                name = rights.originals(other.name)
                may[name] = _reads(other, timeout)
        if not may[rights.READ]:
            return Condition(None, may, ())
        seen = collector.look(pool)
        unreaped, damaged = _unreaped(pool, seen)
        return Condition(seen, may, unreaped, _space(pool), damaged)


def _space(pool: raw_pool.RawPool) -> tuple[int, int] | None:
    """Bytes stored and that may be; None where the user may not ask."""
    try:
        return pool.space()
    except exceptions.CephUnavailable:
        return None


def _reads(store: stores.Store, timeout: int) -> bool:
    """Whether a store's own user can read its pool: it may be elsewhere."""
    settings = dataclasses.replace(store.rbd, timeout=timeout)
    try:
        with raw_pool.RawPool.open(settings) as pool:
            return rights.may_read(pool.ioctx)
    except exceptions.RawStoreError:
        return False


def _unreaped(
    pool: raw_pool.RawPool, seen: Sight
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """For how long each trashed copy is there that nothing uses.

    :returns: that, and the images of those that cannot be opened
    """
    oldest = sorted(seen.trashed, key=lambda copy: copy.deleted)
    now = time.time()
    unreaped, damaged = [], []
    for copy in oldest[:LOOKED_AT]:
        try:
            if not pool.in_use(copy.rbd_id):
                unreaped.append(now - copy.deleted)
        except exceptions.Damaged:
            damaged.append(copy.image_id)
    return tuple(unreaped), tuple(damaged)
