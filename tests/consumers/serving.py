# SPDX-License-Identifier: Apache-2.0
"""The far side of a Consumer: a process that calls functions when told to.

    python -m tests.consumers.serving SOCKET MODULE PORT

MODULE has the functions that can be called. What goes over HTTP to Glance at
PORT is reported, and waits until it was heard.
"""

from __future__ import annotations

import functools
import importlib
import sys
import threading
import time
import traceback
import urllib.parse
from concurrent import futures
from multiprocessing.connection import Client
from multiprocessing.connection import Connection
from typing import Any

import requests.adapters

ANSWERED = 'answered'
RETURNED = 'returned'
RAISED = 'raised'


def _report_answers(connection: Connection, port: int) -> None:
    """Report each answer of Glance before the program gets to see it.

    At the transport below everything: requests, keystoneauth, glanceclient.
    """
    send = requests.adapters.HTTPAdapter.send
    one_at_a_time = threading.Lock()

    @functools.wraps(send)
    def reporting(
        self: Any, request: requests.PreparedRequest, **kwargs: Any
    ) -> requests.Response:
        response = send(self, request, **kwargs)
        url = urllib.parse.urlsplit(str(request.url))
        if url.port == port:
            what = (request.method, url.path, response.status_code)
            with one_at_a_time:
                connection.send((ANSWERED, *what))
                connection.recv()
        return response

    requests.adapters.HTTPAdapter.send = reporting


def _answer(module: str, name: str, arguments: dict[str, Any]) -> Any:
    try:
        call = getattr(importlib.import_module(module), name)
        return RETURNED, call(**arguments)
    except Exception as error:
        return RAISED, _kinds(error), str(error), traceback.format_exc()


def _answer_all(
    module: str, name: str, calls: list[dict[str, Any]]
) -> tuple[str, list[Any]]:
    """Call a function so many times at once; each outcome and its seconds."""

    def call(arguments: dict[str, Any]) -> tuple[Any, float]:
        began = time.perf_counter()
        answer = _answer(module, name, arguments)
        return answer, time.perf_counter() - began

    with futures.ThreadPoolExecutor(len(calls)) as pool:
        return RETURNED, list(pool.map(call, calls))


def _kinds(error: BaseException | None) -> list[str]:
    """Names of an exception's class and bases, then of those behind it.

    Cinder's rollback of a volume without metadata fails itself, and hides
    why the download failed (CreateVolumeFromSpecTask, cinder 29).
    """
    kinds = []
    while error is not None:
        kinds += [kind.__name__ for kind in type(error).__mro__]
        error = error.__context__
    return kinds


def main(socket: str, module: str, port: str) -> None:
    """Serve until the other side hangs up."""
    with Client(socket, family='AF_UNIX') as connection:
        _report_answers(connection, int(port))
        while True:
            try:
                name, arguments = connection.recv()
            except EOFError:
                return
            if isinstance(arguments, list):
                connection.send(_answer_all(module, name, arguments))
            else:
                connection.send(_answer(module, name, arguments))


if __name__ == '__main__':
    main(*sys.argv[1:])
