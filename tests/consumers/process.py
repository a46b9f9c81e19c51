# SPDX-License-Identifier: Apache-2.0
"""The near side of Cinder and Nova: start, call and watch them."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import fixtures

from tests.cloud import wsgi
from tests.consumers import serving
from tests.processes import Daemon
from tests.processes import ProcessError
from tests.waiting import DEADLINE

# modules of what can be called
CINDER = 'tests.consumers.cinder_volume'
NOVA = 'tests.consumers.nova_compute'


class Answer(NamedTuple):
    """One answer of Glance."""

    method: str
    path: str
    status: int

    @property
    def of_an_image(self) -> bool:
        """Whether it tells something of an image."""
        return self.path.startswith('/v2/images/')

    def __str__(self) -> str:
        return f'{self.method} {self.path} {self.status}'


class ConsumerError(Exception):
    """What Cinder's or Nova's code raised.

    :param kinds: names of the exception's class and bases, then of the
        exceptions behind it
    """

    def __init__(self, kinds: list[str], message: str, trace: str) -> None:
        super().__init__(f'{kinds[0]}: {message}')
        self.kinds = kinds
        self.add_note(trace)


class Consumer(fixtures.Fixture):
    """A process with the code of a service that reads images."""

    def __init__(self, module: str, config_file: Path, port: int) -> None:
        """Make one that is not running yet.

        :param module: of the functions that can be called, CINDER or NOVA
        :param config_file: of the service, e.g. cinder.conf
        :param port: of the Glance that it will ask
        """
        super().__init__()
        self.module = module
        self._config_file = config_file
        self._port = port
        #: of the last call, in their order
        self.answers: list[Answer] = []

    def _setUp(self) -> None:
        directory = Path(self.useFixture(fixtures.TempDir()).path)
        address = str(directory / 'socket')
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(address)
            listener.listen()
            listener.settimeout(DEADLINE)
            self._daemon = Daemon(
                self.module,
                [
                    sys.executable,
                    '-m',
                    'tests.consumers.serving',
                    address,
                    self.module,
                    str(self._port),
                ],
                self._config_file.with_suffix('.log'),
                wsgi.environment(),
            )
            self.addCleanup(self._daemon.kill)
            self._connection = self._accept(listener)
        self.addCleanup(self._connection.close)
        self.call('configure', config_file=str(self._config_file))

    def _accept(self, listener: socket.socket) -> Connection:
        try:
            caller, _ = listener.accept()
        except TimeoutError as error:
            raise ProcessError(f'no call from\n{self.log()}') from error
        return Connection(caller.detach())

    def _expect(self, seconds: float) -> Any:
        """Wait for the next message."""
        try:
            if self._connection.poll(seconds):
                return self._connection.recv()
        except EOFError as error:
            raise ProcessError(f'{self.module}:\n{self.log()}') from error
        raise ProcessError(f'{self.module}: silence\n{self.log()}')

    def log(self) -> str:
        """Return the end of what it has logged."""
        return self._daemon.tail()

    def call(
        self,
        function: str,
        /,
        after: Callable[[Answer], None] | None = None,
        **arguments: Any,
    ) -> Any:
        """Call a function over there, and return what it returns.

        :param after: called with each answer of Glance, before the code over
            there gets it
        :raises ConsumerError: what the function raised
        :raises ProcessError: it is dead or hangs
        """
        return self._exchange(function, arguments, after)

    def call_at_once(
        self, function: str, calls: list[dict[str, Any]]
    ) -> list[tuple[Any, float]]:
        """Call a function so many times at once, each time in a thread.

        :param calls: the arguments of each
        :returns: what each returned, and the seconds that it took
        :raises ExceptionGroup: of a ConsumerError for each that raised
        :raises ProcessError: it is dead or hangs
        """
        found, errors = [], []
        for (kind, *told), seconds in self._exchange(function, calls, None):
            if kind == serving.RAISED:
                errors.append(ConsumerError(*told))
            else:
                found.append((told[0], seconds))
        if errors:
            raise ExceptionGroup(f'of {len(calls)} at once', errors)
        return found

    def _exchange(
        self,
        function: str,
        arguments: Any,
        after: Callable[[Answer], None] | None,
    ) -> Any:
        self.answers = []
        self._connection.send((function, arguments))
        while True:
            kind, *told = self._expect(DEADLINE)
            if kind == serving.RETURNED:
                return told[0]
            if kind == serving.RAISED:
                raise ConsumerError(*told)
            answer = Answer(*told)
            self.answers.append(answer)
            if after is not None:
                after(answer)
            self._connection.send(None)
