# SPDX-License-Identifier: Apache-2.0
"""A table in Ceph that every node sees: the omap of one object.

For a few entries, by image. The object is there from the first entry on, and
stays: a full pool has no room for a new one.
"""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from glance_rawstore import aio
from glance_rawstore import ceph
from glance_rawstore import exceptions

_V = TypeVar('_V')

#: Entries read at once.
_PAGE = 1000


class Table:
    """One table in any raw pool.

    :param name: of the object
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def read(self, ioctx: Any, keys: Iterable[str]) -> dict[str, bytes]:
        """Those of these entries that are there.

        :raises CephUnavailable: the cluster does not answer
        """
        return self.begin_read(ioctx, keys).result()

    def begin_read(
        self, ioctx: Any, keys: Iterable[str]
    ) -> aio.Underway[dict[str, bytes]]:
        """Begin to read what :meth:`read` returns."""
        return aio.read_omap(ioctx, self.name, keys)

    def read_all(self, ioctx: Any) -> dict[str, bytes]:
        """Every entry.

        :raises CephUnavailable: the cluster does not answer
        """
        found: dict[str, bytes] = {}
        start = ''
        while page := self._page(ioctx, start):
            start = page[-1][0]
            found |= page
        return found

    def _page(self, ioctx: Any, start: str) -> list[tuple[str, bytes]]:
        """The entries after that key, in their order."""
        try:
            with ceph.translated(), ceph.rados.ReadOpCtx() as operation:
                found, _ = ioctx.get_omap_vals(operation, start, '', _PAGE)
                ioctx.operate_read_op(operation, self.name)
                return list(ceph.entries(found).items())
        except exceptions.NotFound:
            return []

    def create(self, ioctx: Any) -> None:
        """Have the object be there, for when the pool is full.

        :raises NoSpace: it is already, and there is none
        :raises CephUnavailable: the cluster does not answer
        """
        with ceph.translated(), ceph.rados.WriteOpCtx() as operation:
            operation.new(ceph.rados.LIBRADOS_CREATE_IDEMPOTENT)
            ioctx.operate_write_op(operation, self.name)

    def write(self, ioctx: Any, key: str, value: bytes) -> None:
        """Set an entry.

        :raises NoSpace: the pool is full, and this would be its first entry
        :raises CephUnavailable: the cluster does not answer
        """
        ceph.write_omap(ioctx, self.name, key, value)

    def write_all(self, ioctx: Any, entries: Mapping[str, bytes]) -> None:
        """Set entries, many at once; raises what :meth:`write` does."""
        names = tuple(entries)
        for start in range(0, len(names), _PAGE):
            keys = names[start : start + _PAGE]
            values = tuple(entries[key] for key in keys)
            with ceph.translated(), ceph.rados.WriteOpCtx() as operation:
                ioctx.set_omap(operation, keys, values)
                ioctx.operate_write_op(operation, self.name)

    def change(
        self, ioctx: Any, before: Mapping[str, bytes], after: dict[str, bytes]
    ) -> bool:
        """Set entries, unless somebody has changed one of them meanwhile.

        :param before: what they were when they were read; one that was not
            there is not in it. What is no UTF-8, which nothing of ours
            writes, counts as changed
        :param after: what they shall be, all or none of them
        :returns: whether they are
        :raises NoSpace: the pool is full, and this would be its first entry
        :raises CephUnavailable: the cluster does not answer
        """
        # To compare with what is not there takes an object at least.
        compared = {key: text(before.get(key, b'')) for key in after}
        return ceph.change_omap(ioctx, self.name, compared, after, create=True)

    def remove(self, ioctx: Any, key: str) -> None:
        """Remove an entry; accepts "already gone".

        :raises CephUnavailable: the cluster does not answer
        """
        if not self.read(ioctx, (key,)):
            return  # writing would create the object
        with ceph.translated(), ceph.rados.WriteOpCtx() as operation:
            ioctx.remove_omap_keys(operation, (key,))
            ioctx.operate_write_op(operation, self.name)

    def remove_where(
        self, ioctx: Any, unwanted: Callable[[str, bytes], bool]
    ) -> int:
        """Remove the entries of which it is so; how many these were.

        One that somebody writes anew meanwhile stays.

        :param unwanted: asked of each key and value
        :raises CephUnavailable: the cluster does not answer
        """
        return sum(
            self.remove_unchanged(ioctx, key, value)
            for key, value in self.read_all(ioctx).items()
            if unwanted(key, value)
        )

    def remove_unchanged(self, ioctx: Any, key: str, value: bytes) -> bool:
        """Remove an entry, unless it was written anew since it was read.

        :returns: whether it was removed
        :raises CephUnavailable: the cluster does not answer
        """
        try:
            before = {key: value.decode()}
        except UnicodeDecodeError:  # which nothing of ours writes
            before = {}
        with contextlib.suppress(exceptions.NotFound):
            return ceph.change_omap(ioctx, self.name, before, {key: None})
        return False


class Entries(Generic[_V]):
    """A table whose entries are values of one kind.

    All of it raises what :class:`Table` does.

    :param name: of the object
    :param encode: how a value is written
    :param decode: the value of what was read; None for what is something
        else, which is left out
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[_V], bytes],
        decode: Callable[[bytes], _V | None],
    ) -> None:
        self.table = Table(name)
        self._encode = encode
        self._decode = decode

    def read(self, ioctx: Any, key: str) -> _V | None:
        """The value of one entry, or None."""
        return self.read_some(ioctx, (key,)).get(key)

    def read_some(self, ioctx: Any, keys: Iterable[str]) -> dict[str, _V]:
        """The values of those of these entries that are there, by key."""
        return self._values(self.table.read(ioctx, keys))

    def read_all(self, ioctx: Any) -> dict[str, _V]:
        """The values of all entries, by key."""
        return self._values(self.table.read_all(ioctx))

    def _values(self, found: Mapping[str, bytes]) -> dict[str, _V]:
        decoded = ((key, self._decode(value)) for key, value in found.items())
        return {key: value for key, value in decoded if value is not None}

    def write(self, ioctx: Any, key: str, value: _V) -> None:
        """Set an entry."""
        self.table.write(ioctx, key, self._encode(value))

    def remove(self, ioctx: Any, key: str) -> None:
        """Remove an entry; accepts "already gone"."""
        self.table.remove(ioctx, key)


def text(value: bytes) -> str:
    """The value of an entry that is text, whatever it is."""
    return value.decode(errors='replace')
