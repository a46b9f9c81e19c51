# SPDX-License-Identifier: Apache-2.0
"""Who converts on this node, and who waits to: an empty file for each.

Its name says for which project, and since when. It is locked for as long as
its process lives; the kernel drops the lock of one that dies, and whoever
comes next removes the file. Its times say when its project had its last turn
(of modification), and when its holder has looked last (of access).

The locks are flock(2)'s, which hold between threads as well; those of
fcntl(2), which libraries use, hold between processes only.
"""

import contextlib
import dataclasses
import enum
import fcntl
import logging
import os
import re
import time
import uuid
from collections.abc import Iterator
from typing import IO

from glance_rawstore import turns

LOG = logging.getLogger(__name__)

#: Seconds for which another's look is waited for, and between tries.
_PATIENCE = 0.1
_TRY = 0.002

_GUARD = 'raw-conversions.lock'
_NAME = re.compile(
    r'raw-conversion-(?P<state>waiting|running|ending)-(?P<arrived>\d{20})'
    r'-(?P<project>[0-9a-f]{16})-[0-9a-f]{32}\.lock'
)


class State(enum.StrEnum):
    """How far one is that has a ticket."""

    WAITING = 'waiting'
    RUNNING = 'running'
    ENDING = 'ending'


class Slot:
    """That of one conversion; closed when it ends.

    :param directory: shared by all processes of the node
    :param project: for whom
    :param runs: its turn has come
    """

    def __init__(
        self, directory: str, project: str, runs: bool = False
    ) -> None:
        self._state = State.RUNNING if runs else State.WAITING
        digest = turns.digest(project)
        self._tail = f'{time.time_ns():020d}-{digest}-{uuid.uuid4().hex}'
        self._directory = directory
        self._file = self._make()

    @property
    def path(self) -> str:
        """Of its file."""
        return self._path(self._state)

    def _path(self, state: State) -> str:
        name = f'raw-conversion-{state}-{self._tail}.lock'
        return os.path.join(self._directory, name)

    @property
    def runs(self) -> bool:
        """Whether its turn has come."""
        return self._state is not State.WAITING

    def _make(self) -> IO[bytes]:
        file = open(self.path, 'xb')  # noqa: SIM115 - closing gives it back
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def restore(self) -> None:
        """Make the file again, which somebody has tidied away."""
        self._file.close()
        self._file = self._make()

    def run(self) -> None:
        """Take the turn."""
        self._become(State.RUNNING)

    def end(self) -> None:
        """Let another begin: all is converted, and the rest is little.

        Never raises: where it cannot, another one begins when this is closed.
        """
        try:
            # Who looks meanwhile, and has listed it under its old name, would
            # not count it, and one too many might begin. That is risked only
            # where another was stopped while it looked.
            with alone(self._directory):
                self._become(State.ENDING)
        except FileNotFoundError:
            LOG.debug('%s was tidied away', self.path)
        except OSError as exc:
            LOG.warning('Another conversion cannot begin yet: %s', exc)

    def _become(self, state: State) -> None:
        os.rename(self.path, self._path(state))
        self._state = state

    def __enter__(self) -> 'Slot':
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    @property
    def closed(self) -> bool:
        """Whether it was given back."""
        return self._file.closed

    def close(self) -> None:
        """Give it back. Repeatable."""
        if not self.closed:
            # Given back in any case; a file that stays is a dead one's.
            with self._file, contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)


@dataclasses.dataclass(frozen=True)
class Seen:
    """One that was found, with times in ns since the epoch.

    :param looked: when its holder looked last
    """

    path: str
    state: State
    ticket: turns.Ticket
    looked: int

    def lives(self) -> bool:
        """Whether somebody holds it; what nobody holds is removed."""
        # For writing, which an exclusive lock needs on NFS.
        with (
            contextlib.suppress(FileNotFoundError),
            open(self.path, 'r+b') as file,
        ):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
            os.unlink(self.path)
        return False

    def mark(self, looked: float, turn: float) -> None:
        """Note when its holder looked, and when its project had a turn."""
        with contextlib.suppress(FileNotFoundError):
            os.utime(self.path, ns=(int(looked), int(turn)))


def found(directory: str) -> list[Seen]:
    """All there are, of dead processes as well."""
    seen = []
    for entry in os.scandir(directory):
        match = _NAME.fullmatch(entry.name)
        if match is None:
            continue
        with contextlib.suppress(FileNotFoundError):
            stat = entry.stat()
            arrived = int(match['arrived'])
            turn = max(arrived, stat.st_mtime_ns)
            ticket = turns.Ticket(entry.path, match['project'], arrived, turn)
            state = State(match['state'])
            seen.append(Seen(entry.path, state, ticket, stat.st_atime_ns))
    return seen


@contextlib.contextmanager
def alone(directory: str) -> Iterator[bool]:
    """Be the only one who looks and takes; gives whether we are.

    Others take a millisecond. One that was stopped while it looked holds
    nobody up for longer than a moment.
    """
    until = time.monotonic() + _PATIENCE
    with open(os.path.join(directory, _GUARD), 'ab') as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > until:
                    yield False
                    return
                time.sleep(_TRY)
            else:
                yield True
                return
