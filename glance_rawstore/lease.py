# SPDX-License-Identifier: Apache-2.0
"""Who may write a copy: a RADOS lock with a duration, kept alive.

The lock lies on the header object of the ``.part`` image. So it follows the
image through renames, and it is gone with the image: nothing to clean up.
Its name differs from librbd's own ("rbd_lock"); neither sees the other.

A lease that ran out while the cluster was away is simply taken again. Who
takes a ``.part`` over and goes on with it puts the cookie of its own lease
there (:data:`raw_copy.META_WORKER`), so that the former worker, should it be
alive, can tell that it is not its own any more.
"""

import contextlib
import logging
import struct
import threading
import uuid
from collections.abc import Iterator
from typing import Any

from glance_rawstore import ceph
from glance_rawstore import directory
from glance_rawstore import exceptions

LOG = logging.getLogger(__name__)

_NAME = 'glance_rawstore'
#: The lock of who removes an image, whoever makes it, and its seconds.
_REMOVAL = 'glance_rawstore_removal'
_REMOVAL_DURATION = 30.0
# LIBRADOS_LOCK_FLAG_MAY_RENEW in librados.h: take it, or renew what is ours.
_MAY_RENEW = 1


def held(ioctx: Any, rbd_id: str) -> bool:
    """Whether a living worker has the lease on an image; changes nothing.

    :param rbd_id: internal id of the RBD image
    :raises CephUnavailable: the cluster does not answer
    """
    return holders(ioctx, f'rbd_header.{rbd_id}', _NAME) > 0


def holders(ioctx: Any, key: str, lock: str) -> int:
    """How many hold a lock on an object; changes nothing.

    :param key: name of the object, which need not be there
    :raises CephUnavailable: the cluster does not answer
    """
    return len(cookies(ioctx, key, lock))


def cookies(ioctx: Any, key: str, lock: str) -> list[str]:
    """The cookies of those who hold a lock on an object; changes nothing.

    The bindings of 16.2 cannot list the holders of a lock, so its object
    class is asked itself (``cls_lock_get_info_op`` and ``_reply`` in Ceph's
    src/cls/lock/cls_lock_ops.h); it leaves out those that ran out.

    :param key: name of the object, which need not be there
    :raises CephUnavailable: the cluster does not answer
    """
    name = lock.encode()
    request = struct.pack('<I', len(name)) + name
    header = struct.pack('<BBI', 1, 1, len(request))
    try:
        with ceph.translated():
            _size, reply = ioctx.execute(
                key, 'lock', 'get_info', header + request
            )
    except exceptions.NotFound:
        return []
    return _cookies(reply)


def _cookies(reply: bytes) -> list[str]:
    """Of a ``cls_lock_get_info_reply``, which begins with a map.

    Its keys are ``locker_id_t``: who holds it (of type and number), and the
    cookie; its values are passed over. Both say how long they are.
    """
    envelope, text = struct.Struct('<BBI'), struct.Struct('<BqI')
    (count,) = struct.unpack_from('<I', reply, envelope.size)
    at, found = envelope.size + 4, []
    for _ in range(count):
        _, _, length = envelope.unpack_from(reply, at)
        start = at + envelope.size
        _, _, size = text.unpack_from(reply, start)
        cookie = reply[start + text.size : start + text.size + size]
        found.append(cookie.decode(errors='replace'))
        at = start + length
        _, _, length = envelope.unpack_from(reply, at)
        at += envelope.size + length
    return found


class Lock:
    """An exclusive lock on an object, kept alive by a thread.

    :param ioctx: open ``rados.Ioctx`` of the raw pool; used by the renewing
        thread until :meth:`release`
    :param key: name of the object, which is created if need be
    :param name: of the lock
    :param duration: seconds after which it runs out if not renewed
    :param description: what ``rados lock info`` shows of it
    :param cookie: by which its holder is known; a new one unless given

    :ivar lost: another one has it, or the object is gone
    """

    def __init__(
        self,
        ioctx: Any,
        key: str,
        name: str,
        duration: float,
        description: str,
        cookie: str = '',
    ) -> None:
        self._ioctx = ioctx
        self._key = key
        self._name = name
        self._duration = duration
        self._description = description
        self.cookie = cookie or str(uuid.uuid4())
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.lost = False

    def acquire(self) -> None:
        """Take it and start renewing it.

        :raises LeaseHeld: another worker has it
        :raises NotFound: the image is gone
        :raises NoSpace: the object is not there, and the pool is full
        """
        try:
            with ceph.translated():
                self._lock()
        except exceptions.CephUnavailable as exc:
            if not isinstance(exc.__cause__, ceph.rados.ObjectBusy):
                raise
            raise exceptions.LeaseHeld() from exc
        self._thread = threading.Thread(
            target=self._keep, name='rawstore-lease', daemon=True
        )
        self._thread.start()

    def _lock(self) -> None:
        self._ioctx.lock_exclusive(
            self._key,
            self._name,
            self.cookie,
            self._description,
            int(self._duration),
            _MAY_RENEW,
        )

    def confirm(self) -> bool:
        """Renew it now: whether it is ours, for its whole duration.

        One that a client holds which was blocklisted is lost: no other
        connection can renew it, nor shall it.

        :raises CephUnavailable: the cluster does not answer
        """
        try:
            with ceph.translated():
                self._lock()
        except exceptions.NotFound:
            self.lost = True
        except exceptions.Blocklisted as exc:
            LOG.warning('Lock %s is lost: %s', self._key, exc.detail)
            self.lost = True
        except exceptions.CephUnavailable as exc:
            if not isinstance(exc.__cause__, ceph.rados.ObjectBusy):
                raise
            self.lost = True
        return not self.lost

    def _keep(self) -> None:
        while not self._stop.wait(self._duration / 3):
            try:
                if not self.confirm():
                    return
            except exceptions.RawStoreError as exc:
                LOG.warning(
                    'Lock %s was not renewed: %s', self._key, exc.in_full
                )

    def release(self) -> None:
        """Stop renewing and give the lease up; accepts "already gone"."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        try:
            self._ioctx.unlock(self._key, self._name, self.cookie)
        except ceph.rados.Error as exc:
            LOG.debug('Lock %s was gone already: %s', self._key, exc)


class Shared(Lock):
    """A lock that several hold at once, each with a cookie of its own."""

    def _lock(self) -> None:
        self._ioctx.lock_shared(
            self._key,
            self._name,
            self.cookie,
            '',  # no tag
            self._description,
            int(self._duration),
            _MAY_RENEW,
        )


class Lease(Lock):
    """The lease on one image.

    :param rbd_id: internal id of the RBD image
    """

    def __init__(
        self, ioctx: Any, rbd_id: str, duration: float, name: str = _NAME
    ) -> None:
        key = f'rbd_header.{rbd_id}'
        what = 'glance-rawstore conversion'
        super().__init__(ioctx, key, name, duration, what)
        self._rbd_id = rbd_id

    def _lock(self) -> None:
        # A lock request creates a missing object, and would leave it.
        self._ioctx.stat(self._key)
        super()._lock()
        if directory.remove_stray(self._ioctx, self._rbd_id):
            raise exceptions.NotFound()


@contextlib.contextmanager
def removing(ioctx: Any, rbd_id: str) -> Iterator[None]:
    """Be the only one to remove an image, for as long as the context lasts.

    Two who remove one at once take librbd's own lock from each other, and one
    of them aborts with its whole process (an assertion in TrimRequest.cc,
    seen on 16.2).

    :raises LeaseHeld: another one removes it
    :raises NotFound: the image is gone
    """
    taken = Lease(ioctx, rbd_id, _REMOVAL_DURATION, _REMOVAL)
    taken.acquire()
    try:
        yield
    finally:
        taken.release()
