# SPDX-License-Identifier: Apache-2.0
"""Become a node; a command line waits neither for ever nor past Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from glance_rawstore import raw_pool
from glance_rawstore import rights
from glance_rawstore import stores
from glance_rawstore.cli import configuration
from glance_rawstore.cli import exit_status

if TYPE_CHECKING:
    from glance_rawstore.agent.node import Node

#: Seconds for which somebody at a terminal waits for one answer of Ceph.
PATIENCE = 30
#: Seconds in which Python takes note of Ctrl-C, unless it waits in a library.
_NOTICE = 2.0
#: Tells that it has, among the numbers of signals, which begin with 1.
_NOTICED = b'\0'


def bounded(store: stores.Store) -> stores.Store:
    """A raw store of which answers are awaited for :data:`PATIENCE` at most.

    Unless ``rados_connect_timeout`` says for how long.
    """
    if store.rbd.timeout > 0:
        return store
    settings = dataclasses.replace(store.rbd, timeout=PATIENCE)
    return dataclasses.replace(store, settings=settings)


def node(args: argparse.Namespace, store: stores.Store) -> Node:
    """Make this process a node, if Ceph answers at all.

    It is asked first, since Glance and a conversion wait for it for ever.

    :param store: :func:`bounded`
    :raises CephUnavailable: it does not answer
    :raises BadSetup: saying what to change
    """
    # what takes a second to import
    from glance_rawstore.agent.node import Node

    with raw_pool.RawPool.open(store.rbd) as pool:
        rights.may_read(pool.ioctx)
    return Node.start(configuration.files(args.config_file), store.name)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C end this process even while it waits for Ceph.

    Python raises ``KeyboardInterrupt`` when a call into a library returns;
    one that asks a cluster which is away may never do so (``rbd``, seen on
    16.2: it took SIGKILL). For the main thread.
    """
    ours, pythons = socket.socketpair()
    pythons.setblocking(False)

    def notice(_number: int, _frame: FrameType | None) -> NoReturn:
        with contextlib.suppress(OSError):
            pythons.send(_NOTICED)
        raise KeyboardInterrupt

    handler = signal.signal(signal.SIGINT, notice)
    other = signal.set_wakeup_fd(pythons.fileno())
    watch = threading.Thread(target=_watch, args=(ours,), daemon=True)
    watch.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(other)
        signal.signal(signal.SIGINT, handler)
        pythons.close()
        watch.join()
        ours.close()


def _watch(ours: socket.socket) -> None:
    """End the process by a signal that nobody takes note of.

    Python takes note once of several that come while it cannot, so what is
    noticed is all that was told before.
    """
    due: float | None = None
    while True:
        left = None if due is None else max(0.0, due - time.monotonic())
        if not select.select([ours], [], [], left)[0]:
            break
        told = ours.recv(1)
        if not told:
            return
        if told == _NOTICED:
            due = None
        elif told[0] == signal.SIGINT and due is None:
            due = time.monotonic() + _NOTICE
    print(
        'glance-rawstore: interrupted while waiting for an answer of Ceph',
        file=sys.stderr,
        flush=True,
    )
    os._exit(exit_status.INTERRUPTED)
