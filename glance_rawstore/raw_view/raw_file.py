# SPDX-License-Identifier: Apache-2.0
"""The bytes of a raw copy, streamed from Ceph; no local copy is made."""

import contextlib
from collections.abc import Iterator

import webob
from oslo_utils import units

from glance_rawstore import ceph
from glance_rawstore import sources
from glance_rawstore.lifecycle import raw_copy

_CHUNK = 8 * units.Mi


class RawFile:
    """A copy that is read from start to stop, in bytes.

    WSGI servers iterate it and close it; webob asks it for a range.
    """

    def __init__(
        self,
        source: sources.RbdSource,
        opened: contextlib.ExitStack,
        start: int,
        stop: int,
    ) -> None:
        self._source = source
        self._opened = opened
        self._start = start
        self._stop = stop

    @classmethod
    def open(cls, settings: ceph.Settings, image_id: str) -> 'RawFile':
        """Open the copy of an image.

        :raises NotFound: there is none any more
        :raises CephUnavailable: the cluster does not answer
        """
        opened = contextlib.ExitStack()
        source = opened.enter_context(
            sources.rbd_source(
                settings, raw_copy.name(image_id), raw_copy.SNAPSHOT
            )
        )
        return cls(source, opened, 0, source.size)

    @property
    def size(self) -> int:
        """Bytes that are to come."""
        return self._stop - self._start

    def app_iter_range(self, start: int, stop: int | None) -> 'RawFile':
        """The same, from one byte to before another."""
        stop = self._stop if stop is None else min(stop, self._stop)
        return RawFile(self._source, self._opened, start, stop)

    def __iter__(self) -> Iterator[bytes]:
        for offset in range(self._start, self._stop, _CHUNK):
            yield self._source.read(offset, min(_CHUNK, self._stop - offset))

    def close(self) -> None:
        """Close the copy."""
        self._opened.close()


def response(file: RawFile) -> webob.Response:
    """Serve a copy, whole or the part that the caller asks for."""
    answer = webob.Response(
        app_iter=file,
        content_type='application/octet-stream',
        conditional_response=True,
    )
    answer.content_length = file.size
    answer.accept_ranges = 'bytes'
    return answer
