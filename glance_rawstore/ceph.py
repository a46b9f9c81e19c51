# SPDX-License-Identifier: Apache-2.0
"""The edge to Ceph: connect and translate errors.

The only importer of ``rados`` and ``rbd``; :mod:`raw_pool` and :mod:`lease`
take both from here. They come with the distribution (python3-rados,
python3-rbd) and are absent where only the pure parts are used.
"""

import contextlib
import dataclasses
import errno
import importlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from glance_rawstore import exceptions

LOG = logging.getLogger(__name__)

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Ceph's EBLOCKLISTED (include/types.h), "Cannot send after transport
#: endpoint shutdown". Only what librbd or librados itself is asked after its
#: own end is refused with the same.
_BLOCKLISTED = errno.ESHUTDOWN
#: What is answered of an image that cannot be read, or not by this version:
#: EIO for whatever of its header cannot be decoded, ENOSYS for features that
#: are not known (both seen on 16.2).
_DAMAGED = frozenset(
    {errno.EIO, errno.EBADMSG, errno.ENOSYS, errno.EOPNOTSUPP}
)


def _module(name: str) -> Any:
    """Import a binding; None without it, as only a store in use needs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


rados = _module('rados')
rbd = _module('rbd')


@dataclasses.dataclass(frozen=True)
class Settings:
    """How to reach one pool of one cluster.

    :param conf_file: path of ceph.conf; empty for librados' own search
    :param user: cephx user without ``client.``; None for the default
    :param timeout: seconds for connecting and for each operation; negative
        for none, which is librados' default
    """

    conf_file: str
    user: str | None
    pool: str
    timeout: int = -1


@contextlib.contextmanager
def _client(settings: Settings) -> Iterator[Any]:
    """A client that is still to be connected.

    Shut down at the end in any case: even of one that could not connect,
    librados leaves 4 threads and 9 descriptors (seen on 16.2).
    """
    if rados is None:
        raise exceptions.BadSetup(
            'The rados and rbd Python modules are missing; install the '
            "distribution's python3-rados and python3-rbd."
        )
    conf_file = settings.conf_file or 'ceph.conf'
    with reaching(f'{conf_file}: see rbd_store_ceph_conf'):
        client = rados.Rados(
            conffile=settings.conf_file, rados_id=settings.user or None
        )
    try:
        with translated():
            _limit_waiting(client, settings.timeout)
        yield client
    finally:
        client.shutdown()


def _limit_waiting(client: Any, timeout: int) -> None:
    if timeout < 0:
        return
    for option in (
        'rados_osd_op_timeout',
        'rados_mon_op_timeout',
        'client_mount_timeout',
    ):
        client.conf_set(option, str(timeout))
    _look_for_restarts(client, timeout)


def _look_for_restarts(client: Any, timeout: int) -> None:
    """Have a client notice an OSD that was restarted, in time.

    It looks for one when a request is older than ``objecter_timeout``, which
    none ever is that times out before (``Objecter::tick``): on 16.2 such a
    client was not answered again, by an OSD that had been back for minutes.
    """
    if timeout == 0:
        return  # no request times out
    for option, usual, share in (
        ('objecter_timeout', 10.0, 2),
        ('objecter_tick_interval', 5.0, 4),
    ):
        client.conf_set(option, str(min(usual, timeout / share)))


@contextlib.contextmanager
def reaching(missing: str) -> Iterator[None]:
    """Reach the cluster: what is not found while we do is not a copy.

    :param missing: what there is none of then
    :raises CephUnavailable: whatever the bindings raise
    """
    if rados is None:
        yield
        return
    try:
        yield
    except rados.Error as exc:
        absent = isinstance(exc, rados.ObjectNotFound)
        detail = f'there is no {missing}' if absent else str(exc)
        LOG.info('Ceph cannot be reached: %s', detail)
        raise exceptions.CephUnavailable(detail=detail) from exc


def _connect(client: Any, settings: Settings) -> None:
    user = f'client.{settings.user or "admin"}'
    with reaching(f'key of {user}: see rbd_store_user'):
        client.connect()


@contextlib.contextmanager
def connect(settings: Settings) -> Iterator[tuple[Any, Any]]:
    """Connect to a cluster and open the pool.

    :returns: context manager of (``rados.Rados``, ``rados.Ioctx``)
    :raises CephUnavailable: the cluster or the pool cannot be reached
    """
    with _client(settings) as client:
        _connect(client, settings)
        with reaching(f'pool {settings.pool}: see rbd_store_pool'):
            ioctx = client.open_ioctx(settings.pool)
        try:
            yield client, ioctx
        finally:
            ioctx.close()


def fsid(settings: Settings) -> str:
    """Id of the cluster, from ceph.conf or else by connecting.

    :raises CephUnavailable: the cluster cannot be reached
    """
    with _client(settings) as client, translated():
        configured = client.conf_get('fsid')
        if configured and set(configured) - set('0-'):
            return str(configured)
        _connect(client, settings)
        return str(client.get_fsid())


def entries(found: Iterable[tuple[str, bytes | None]]) -> dict[str, bytes]:
    """What was read of an omap; the bindings have None for an empty value."""
    return {key: value or b'' for key, value in found}


def write_omap(ioctx: Any, name: str, key: str, value: bytes) -> None:
    """Set one key in the omap of an object, which is created if need be.

    :raises NoSpace: the pool is full
    :raises CephUnavailable: the cluster does not answer
    """
    with translated(), rados.WriteOpCtx() as operation:
        ioctx.set_omap(operation, (key,), (value,))
        ioctx.operate_write_op(operation, name)


def change_omap(
    ioctx: Any,
    name: str,
    before: Mapping[str, str],
    after: Mapping[str, bytes | None],
    create: bool = False,
) -> bool:
    """Set keys of an omap, all or none, if others are what they were.

    :param before: what is compared; as empty where there is no such key
    :param after: what is set; what is None is removed
    :param create: the object, if there is none
    :returns: whether they were set
    :raises NotFound: there is no such object
    :raises NoSpace: the object is to be created, and the pool is full
    :raises CephUnavailable: the cluster does not answer
    """
    with translated(), rados.WriteOpCtx() as operation:
        if create:
            operation.new(rados.LIBRADOS_CREATE_IDEMPOTENT)
        for key, value in before.items():
            operation.omap_cmp(key, value)
        new = {k: value for k, value in after.items() if value is not None}
        if new:
            ioctx.set_omap(operation, tuple(new), tuple(new.values()))
        if gone := tuple(after.keys() - new.keys()):
            ioctx.remove_omap_keys(operation, gone)
        try:
            ioctx.operate_write_op(operation, name)
        except rados.Error as exc:
            if exc.errno == errno.ECANCELED:
                return False
            raise
    return True


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Turn errors of librados and librbd into ours, at this border only."""
    if rados is None:
        yield
        return
    try:
        yield
    except (rbd.ImageNotFound, rados.ObjectNotFound) as exc:
        raise exceptions.NotFound() from exc
    except (rbd.Error, rados.Error) as exc:
        raise _translate(exc) from exc
    except UnicodeDecodeError as exc:
        # The bindings take names and image-meta for text.
        raise exceptions.Damaged(detail=str(exc)) from exc


def error(number: int) -> exceptions.RawStoreError:
    """Our error for one that librados has only a number of ``errno`` for."""
    if number == errno.ENOENT:
        return exceptions.NotFound()
    if number in _FULL:
        return exceptions.NoSpace()
    said = os.strerror(number)
    LOG.info('Ceph refused an operation: %s', said)
    return _unavailable(number, said)


def _unavailable(number: int, said: str) -> exceptions.CephUnavailable:
    if number == _BLOCKLISTED:
        return exceptions.Blocklisted()
    if number in _DAMAGED:
        return exceptions.Damaged(detail=said)
    return exceptions.CephUnavailable(detail=said)


def _translate(exc: Any) -> exceptions.RawStoreError:
    number = abs(getattr(exc, 'errno', 0) or 0)
    if number in _FULL:
        return exceptions.NoSpace()
    # These two are the answer of who comes second, in every day's work.
    usual = isinstance(exc, rbd.ImageExists | rados.ObjectBusy)
    LOG.log(
        logging.DEBUG if usual else logging.INFO,
        'Ceph refused an operation: %s',
        exc,
    )
    return _unavailable(number, str(exc))
