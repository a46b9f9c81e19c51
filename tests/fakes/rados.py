# SPDX-License-Identifier: Apache-2.0
"""What the package sees of librados, on a Ceph in memory."""

import errno
import itertools
import json
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.fakes import bindings
from tests.fakes import ceph
from tests.fakes import omap as rbd_omap

globals().update(bindings.RADOS_ERRORS)

_error = bindings.rados_error
_numbers = itertools.count(4100)
_TRASH = 'rbd_trash'
# LIBRADOS_LOCK_FLAG_MAY_RENEW
_MAY_RENEW = 1

#: All or nothing of an operation, whoever else writes.
_ONE_AT_A_TIME = threading.Lock()

LIBRADOS_CREATE_EXCLUSIVE = 1
LIBRADOS_CREATE_IDEMPOTENT = 0


def _later(found: list[tuple[str, bytes]]) -> Iterator[Any]:
    """What an operation will find, once it was operated."""
    for key, value in found:
        yield key, value or None  # as the bindings do


def _enveloped(body: bytes) -> bytes:
    """With versions and length, as Ceph's ENCODE_START writes them."""
    return struct.pack('<BBI', 1, 1, len(body)) + body


class _Operation:
    """Steps that are taken together when it is operated."""

    def __init__(self) -> None:
        self.steps: list[Callable[[dict[str, bytes]], None]] = []
        self.creates = self.compares = False

    def __enter__(self) -> '_Operation':
        return self

    def __exit__(self, *_exc: Any) -> None:
        pass


class WriteOpCtx(_Operation):
    """An operation that can create an object and write its omap."""

    def new(self, exclusive: int | None = None) -> None:
        assert exclusive == LIBRADOS_CREATE_IDEMPOTENT, 'not needed yet'
        self.creates = True

    def omap_cmp(self, key: str, val: str) -> None:
        """Refuse the operation unless that is there; nothing is as ''."""

        self.compares = True

        def compare(omap: dict[str, bytes]) -> None:
            if omap.get(key, b'') != val.encode():
                raise _error(errno.ECANCELED, 'failed to operate write op')

        self.steps.append(compare)

    def execute(self, cls: str, method: str, data: bytes) -> None:
        """The object class of numbers: add to one, as strings."""
        assert (cls, method) == ('numops', 'add'), 'not needed yet'
        (length,) = struct.unpack_from('<I', data)
        key, rest = data[4 : 4 + length].decode(), data[4 + length :]
        (length,) = struct.unpack_from('<I', rest)
        assert len(rest) == 4 + length
        added = float(rest[4:])

        def add(omap: dict[str, bytes]) -> None:
            # as cls_numops.cc writes it: ten digits
            omap[key] = f'{float(omap.get(key, 0)) + added:.10g}'.encode()

        self.steps.append(add)


class ReadOpCtx(_Operation):
    """An operation that reads an omap."""


class Rados:
    """A client of the cluster that has this ceph.conf."""

    def __init__(self, conffile: str, rados_id: str | None = None) -> None:
        if conffile not in ceph.CLUSTERS:
            raise _error(errno.ENOENT, 'error calling conf_read_file')
        self.cluster = ceph.CLUSTERS[conffile]
        self.user = rados_id
        self.number = next(_numbers)
        self.address = f'127.0.0.1:0/{1000000 + self.number}'
        self.conf: dict[str, str] = {}

    def conf_set(self, name: str, value: str) -> None:
        self.conf[name] = value

    def conf_get(self, name: str) -> str | None:
        return self.conf.get(name)

    def connect(self) -> None:
        if self.cluster.away:
            raise _error(errno.ETIMEDOUT, 'error connecting to the cluster')
        if self.user in self.cluster.no_key:
            raise _error(errno.ENOENT, 'error connecting to the cluster')

    def shutdown(self) -> None:
        pass

    def kill(self) -> None:
        """End as a killed process does."""
        self.cluster.killed(self.address)

    def get_fsid(self) -> str:
        return self.cluster.fsid

    def get_cluster_stats(self) -> dict[str, int]:
        return {'kb_avail': self.cluster.free // 1024}

    def _fence(self, address: str) -> tuple[int, bytes, str]:
        """Of fencing, whether it is allowed; there is nobody to fence."""
        assert address == 'nobody/1', 'not needed yet'
        if self.user in self.cluster.no_fence:
            return -errno.EACCES, b'', 'access denied'
        return -errno.EINVAL, b'', 'unable to parse address'

    def mon_command(self, command: str, data: bytes) -> tuple[int, bytes, str]:
        """``ceph df detail``: what is stored, and may be; and fencing."""
        if json.loads(command)['prefix'] == 'osd blocklist':
            return self._fence(json.loads(command)['addr'])
        asked = {'prefix': 'df', 'detail': 'detail', 'format': 'json'}
        assert (json.loads(command), data) == (asked, b''), 'not needed yet'
        pools = [
            {
                'name': pool.name,
                'stats': {
                    'stored': pool.stored,
                    'max_avail': self.cluster.free,
                    'quota_bytes': pool.quota,
                },
            }
            for pool in self.cluster.pools.values()
        ]
        return 0, json.dumps({'pools': pools}).encode(), ''

    def get_instance_id(self) -> int:
        return self.number

    def get_addrs(self) -> str:
        return self.address

    def blocklist_add(self, address: str, seconds: int = 0) -> None:
        del seconds  # longer than any test
        self.cluster.blocklist.add(address)

    def open_ioctx(self, pool: str) -> 'Ioctx':
        if pool not in self.cluster.pools:
            raise _error(errno.ENOENT, f'error opening pool {pool!r}')
        return Ioctx(self, self.cluster.pools[pool])


class Completion:
    """An operation that was ordered; carried out at once, if not by itself."""

    def __init__(self, operate: Callable[[], None]) -> None:
        self._number: int | None = None
        try:
            operate()
            self._after = 0
        except bindings.RADOS_ERRORS['Error'] as exc:
            self._after = -(exc.errno or errno.EIO)

    def is_complete(self) -> bool:
        return self._number is not None

    def wait_for_complete(self) -> None:
        self._number = self._after

    def get_return_value(self) -> int:
        assert self._number is not None, 'nobody has waited'
        return self._number


class Ioctx:
    """An open pool; knows the header objects of RBD images only."""

    def __init__(self, client: Rados, pool: ceph.Pool) -> None:
        self.client = client
        self.pool = pool
        self.name = pool.name

    def __enter__(self) -> 'Ioctx':
        return self

    def __exit__(self, *_exc: Any) -> None:
        self.close()

    def close(self) -> None:
        pass

    def set_osdmap_full_try(self) -> None:
        """Accepted: a full pool refuses at once in any case."""

    @property
    def cluster(self) -> ceph.Cluster:
        return self.client.cluster

    def _image(self, key: str) -> ceph.Image | None:
        self.cluster.check(self, _error)
        for image in self.pool.every_image():
            if key == rbd_omap.HEADER + image.number:
                return image
        return None

    def stat(self, key: str) -> tuple[int, time.struct_time]:
        if self._image(key) is None and not self._is_there(key):
            raise _error(errno.ENOENT, f'Failed to stat {key!r}')
        return 0, time.gmtime(self.cluster.clock())

    def append(self, key: str, data: bytes) -> None:
        image = self._image(key)
        if self.pool.full and data:
            raise _error(errno.EDQUOT, f'failed to append {key}')
        if image is None:
            self._create(key)

    def operate_aio_read_op(
        self, operation: ReadOpCtx, key: str
    ) -> 'Completion':
        return Completion(lambda: self.operate_read_op(operation, key))

    def operate_write_op(self, operation: WriteOpCtx, key: str) -> None:
        before, after = self.cluster.events('operate_write_op')
        before()
        self._operate(operation, key)
        after()

    def _operate(self, operation: WriteOpCtx, key: str) -> None:
        image = self._image(key)
        if image is not None:
            with _ONE_AT_A_TIME:
                before = rbd_omap.header(image)
                omap = dict(before)
                for step in operation.steps:
                    step(omap)
                new = {k: v for k, v in omap.items() if before.get(k) != v}
                image.meta.update(rbd_omap.meta(new))
            return
        if operation.compares and not (
            operation.creates or self._is_there(key)
        ):
            raise _error(errno.ENOENT, 'failed to operate write op')
        with _ONE_AT_A_TIME:
            omap = dict(self.pool.omaps.get(key, {}))
            for step in operation.steps:
                step(omap)
            self._create(key)
            self.pool.omaps[key] = omap

    def remove_object(self, key: str) -> None:
        self.stat(key)
        self.pool.strays.discard(key)
        self.pool.omaps.pop(key, None)
        self.pool.locks.pop(key, None)

    def operate_read_op(self, operation: ReadOpCtx, key: str) -> None:
        before, after = self.cluster.events('operate_read_op')
        before()
        self.stat(key)
        omap = self._omap(key)
        for step in operation.steps:
            step(omap)
        after()

    def _omap(self, key: str) -> dict[str, bytes]:
        image = self._image(key)
        if image is not None:
            return rbd_omap.header(image)
        if key == rbd_omap.DIRECTORY:
            return rbd_omap.directory(self.pool)
        return self.pool.omaps.get(key, {})

    def _is_there(self, key: str) -> bool:
        if key == rbd_omap.DIRECTORY:
            return self.pool.has_directory
        return key in self.pool.strays

    def set_omap(
        self,
        operation: WriteOpCtx,
        keys: tuple[str, ...],
        values: tuple[bytes, ...],
    ) -> None:
        new = dict(zip(keys, values, strict=True))
        operation.steps.append(lambda omap: omap.update(new))

    def remove_omap_keys(
        self, operation: WriteOpCtx, keys: tuple[str, ...]
    ) -> None:
        def remove(omap: dict[str, bytes]) -> None:
            for key in keys:
                omap.pop(key, None)

        operation.steps.append(remove)

    def get_omap_vals(
        self, operation: ReadOpCtx, start: str, prefix: str, limit: int
    ) -> tuple[Iterator[tuple[str, bytes]], int]:
        found: list[tuple[str, bytes]] = []

        def read(omap: dict[str, bytes]) -> None:
            after = [
                (key, omap[key])
                for key in sorted(omap)
                if key > start and key.startswith(prefix)
            ]
            found.extend(after[:limit])

        operation.steps.append(read)
        return _later(found), 0

    def get_omap_vals_by_keys(
        self, operation: ReadOpCtx, keys: tuple[str, ...]
    ) -> tuple[Iterator[tuple[str, bytes]], int]:
        if not all(isinstance(key, str) for key in keys):
            raise TypeError('keys must be a string')
        found: list[tuple[str, bytes]] = []
        operation.steps.append(
            lambda omap: found.extend(
                (key, omap[key]) for key in sorted({*keys}) if key in omap
            )
        )
        return _later(found), 0

    def execute(
        self, key: str, cls: str, method: str, data: bytes
    ) -> tuple[int, bytes]:
        """The object class of locks, asked who holds one."""
        assert (cls, method) == ('lock', 'get_info'), 'not needed yet'
        image = self._image(key)
        if image is None and not self._is_there(key):
            raise _error(errno.ENOENT, f'failed to execute on {key}')
        version, compat, size = struct.unpack_from('<BBI', data)
        body = data[struct.calcsize('<BBI') :]
        assert (version, compat, size) == (1, 1, len(body))
        (length,) = struct.unpack_from('<I', body)
        name = body[4 : 4 + length].decode()
        locks = image.locks if image else self.pool.locks.get(key, {})
        lock = locks.get(name)
        until = dict(self.pool.shared.get((key, name), {}))
        until |= {lock.holder: lock.until} if lock else {}
        cookies = [
            cookie
            for (_address, cookie), moment in until.items()
            if moment > self.cluster.clock()
        ]
        reply = struct.pack('<I', len(cookies))
        for cookie in cookies:
            # as cls_lock_types.h: who, by type and number, and cookie; then
            # until when, at which address, and a description
            who = struct.pack('<BqI', 8, self.client.number, len(cookie))
            reply += _enveloped(who + cookie.encode())
            reply += _enveloped(bytes(8 + 136) + struct.pack('<I', 0))
        reply = _enveloped(reply + struct.pack('<BI', 1, 0))
        return len(reply), reply

    def _create(self, key: str) -> None:
        there = {*self.pool.strays, *([_TRASH] if self.pool.has_trash else [])}
        if self.pool.full and key not in there:
            raise _error(errno.EDQUOT, f'failed to create {key}')
        if key == _TRASH:
            self.pool.has_trash = True
        else:
            self.pool.strays.add(key)

    def lock_exclusive(
        self,
        key: str,
        name: str,
        cookie: str,
        desc: str = '',
        duration: int | None = None,
        flags: int = 0,
    ) -> None:
        image = self._image(key)
        if image is None:
            self._create(key)
            locks = self.pool.locks.setdefault(key, {})
        else:
            locks = image.locks
        now, mine = self.cluster.clock(), (self.client.address, cookie)
        present = locks.get(name)
        if present and present.until > now:
            if present.holder != mine:
                raise _error(errno.EBUSY, f'failed to set lock {name}')
            if not flags & _MAY_RENEW:
                raise _error(errno.EEXIST, f'failed to set lock {name}')
        until = now + duration if duration else float('inf')
        locks[name] = ceph.Lock(mine, until)

    def lock_shared(
        self,
        key: str,
        name: str,
        cookie: str,
        tag: str,
        desc: str = '',
        duration: int | None = None,
        flags: int = 0,
    ) -> None:
        assert self._image(key) is None, 'not needed yet'
        assert duration, 'not needed yet'
        self._create(key)
        assert flags & _MAY_RENEW, 'not needed yet'
        holders = self.pool.shared.setdefault((key, name), {})
        until = self.cluster.clock() + duration
        holders[self.client.address, cookie] = until

    def unlock(self, key: str, name: str, cookie: str) -> None:
        image = self._image(key)
        shared = self.pool.shared.get((key, name), {})
        if shared.pop((self.client.address, cookie), 0) > self.cluster.clock():
            return
        locks = image.locks if image else self.pool.locks.get(key, {})
        present = locks.get(name)
        mine = (self.client.address, cookie)
        if (
            present is None
            or present.holder != mine
            or present.until <= self.cluster.clock()
        ):
            raise _error(errno.ENOENT, f'failed to release lock {name}')
        del locks[name]
