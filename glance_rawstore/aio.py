# SPDX-License-Identifier: Apache-2.0
"""Operations in Ceph that are begun now and waited for later.

librados carries them out on threads of its own, which do not need Python's
lock, so whoever has begun one works on meanwhile. To begin a read and to take
its result costs 0.1 ms together; to wait for one that was begun only when it
was needed takes six times as long (seen on 16.2, both after milliseconds in
which the cluster had nothing to do).
"""

import atexit
import collections
import errno
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from glance_rawstore import ceph

_R = TypeVar('_R')
_S = TypeVar('_S')


class Underway(Generic[_R]):
    """An operation that has begun.

    Whoever does not want its result any more must :func:`leave` it.

    :param completion: of librados
    :param result: makes the result of what was read, which is there only when
        the operation has ended
    :param refused: the results for errors that are no failure, by number
    """

    def __init__(
        self,
        completion: Any,
        result: Callable[[], _R],
        refused: Mapping[int, _R],
    ) -> None:
        self._completion = completion
        self._result = result
        self._refused = refused
        self._results: list[_R] = []

    def then(self, make: Callable[[_R], _S]) -> 'Underway[_S]':
        """The same operation, with a result that is made of this one's.

        It is taken of the new one only: what was read is there once.
        """
        refused = {number: make(r) for number, r in self._refused.items()}
        return Underway(
            self._completion, lambda: make(self._result()), refused
        )

    @property
    def ended(self) -> bool:
        """Whether nobody would have to wait for it."""
        return bool(self._completion.is_complete())

    def result(self) -> _R:
        """Wait for the end of the operation, and return its result.

        The same whenever it is asked for.

        :raises NotFound: there is no such object
        :raises NoSpace: the pool is full
        :raises CephUnavailable: the cluster does not answer
        """
        if not self._results:
            self._completion.wait_for_complete()
            self._results.append(self._made())
        return self._results[0]

    def _made(self) -> _R:
        number = -self._completion.get_return_value()
        if number <= 0:
            return self._result()
        if number in self._refused:
            return self._refused[number]
        raise ceph.error(number)


#: Seconds that the interpreter's end waits for what was left: more than an
#: operation takes that is timed out.
PATIENCE = 6.0
#: What nobody waits for any more.
_left: collections.deque[Underway[Any]] = collections.deque()


def leave(operation: Underway[Any]) -> None:
    """Wait for an operation no more.

    It is kept until it has ended: until then librados writes its result to
    where it was told, and takes no order back.
    """
    if operation.ended:
        return
    _left.append(operation)
    for _ in range(len(_left)):
        try:
            oldest = _left.popleft()
        except IndexError:
            return  # another thread was faster
        if not oldest.ended:
            _left.append(oldest)


@atexit.register
def _end() -> None:
    """Keep what was left while librados may still write to it."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until and not all(o.ended for o in list(_left)):
        time.sleep(0.01)


def read(
    ioctx: Any, name: str, order: Callable[[Any], Callable[[], _R]], none: _R
) -> Underway[_R]:
    """Begin to read an object.

    :param order: is given the operation, to say what is to be read; returns
        what makes a result of that
    :param none: the result where there is no such object
    :raises CephUnavailable: librados does not take the order
    """
    with ceph.translated(), ceph.rados.ReadOpCtx() as operation:
        result = order(operation)
        completion = ioctx.operate_aio_read_op(operation, name)
    return Underway(completion, result, {errno.ENOENT: none})


def read_omap(
    ioctx: Any, name: str, keys: Iterable[str]
) -> Underway[dict[str, bytes]]:
    """Begin to read those of these keys that the omap of an object has.

    There are none of them where there is no such object.

    :raises CephUnavailable: librados does not take the order
    """

    def order(operation: Any) -> Callable[[], dict[str, bytes]]:
        found, _ = ioctx.get_omap_vals_by_keys(operation, tuple(keys))
        return lambda: ceph.entries(found)

    return read(ioctx, name, order, {})
