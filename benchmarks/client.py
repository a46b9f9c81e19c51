# SPDX-License-Identifier: Apache-2.0
"""One who asks an API, and looks at the clock."""

from __future__ import annotations

import contextlib
import http.client
import time
from collections.abc import Mapping

from tests.processes import ProcessError

#: In seconds, for one answer.
TIMEOUT = 60


class Client:
    """Asks one of two pipelines, and reads all of the answer.

    :param root: what all paths begin with
    """

    def __init__(
        self, port: int, headers: Mapping[str, str], root: str = ''
    ) -> None:
        self._port = port
        self._headers = dict(headers)
        self._root = root

    def get(
        self, path: str, more: Mapping[str, str] | None = None
    ) -> tuple[float, bytes]:
        """Get something; return how many seconds that took, and what it is.

        :param more: headers of this request
        :raises ProcessError: it is refused
        """
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._port, timeout=TIMEOUT
        )
        with contextlib.closing(connection):
            headers = {**self._headers, **(more or {})}
            start = time.perf_counter()
            connection.request('GET', self._root + path, headers=headers)
            response = connection.getresponse()
            body = response.read()
            taken = time.perf_counter() - start
        if response.status != 200:
            raise ProcessError(f'GET {path}: {response.status} {body!r}')
        return taken, body
