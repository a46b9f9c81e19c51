# SPDX-License-Identifier: Apache-2.0
"""A web server on loopback, for images that Glance is to download."""

from __future__ import annotations

import functools
import http.server
import threading
from pathlib import Path

import fixtures


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


class WebServer(fixtures.Fixture):
    """Serve the files of a directory."""

    def __init__(self, directory: Path) -> None:
        super().__init__()
        self._handler = functools.partial(_Quiet, directory=str(directory))

    def _setUp(self) -> None:
        self._server = http.server.ThreadingHTTPServer(
            ('127.0.0.1', 0), self._handler
        )
        self.addCleanup(self._server.server_close)
        threading.Thread(
            target=self._server.serve_forever, daemon=True
        ).start()
        self.addCleanup(self._server.shutdown)

    def url(self, name: str) -> str:
        """Return where a file of the directory is."""
        return f'http://127.0.0.1:{self._server.server_port}/{name}'
