# SPDX-License-Identifier: Apache-2.0
"""Agents of a cloud, as an operator runs them."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import psutil

from glance_rawstore import attempts
from glance_rawstore import raw_pool
from glance_rawstore.lifecycle.attempts import Attempts
from tests.cloud import Cloud
from tests.cloud import config
from tests.functional.support import Pool
from tests.waiting import DEADLINE

PROGRAM = os.path.join(os.path.dirname(sys.executable), 'glance-rawstore')


class Agent:
    """One running agent.

    :param directory: where its log goes
    :param conf: its configuration; that of the cloud's API by default
    :param program: the command, without its arguments
    """

    def __init__(
        self,
        cloud: Cloud,
        directory: Path,
        conf: Path | None = None,
        program: Sequence[str] = (PROGRAM,),
    ) -> None:
        self.log_file = directory / 'agent.log'
        with self.log_file.open('ab') as log:
            self._process = psutil.Popen(
                [*program, '--config-file', conf or cloud.conf, 'agent'],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def __enter__(self) -> 'Agent':
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _exc: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        self.kill()
        print(self.log())  # which pytest shows of failed tests

    def log(self) -> str:
        """All that it has logged."""
        return self.log_file.read_text()

    def family(self) -> list[psutil.Process]:
        """Its processes, qemu-img included."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return [self._process, *self._process.children(recursive=True)]
        return []

    def stop(self, seconds: float = DEADLINE) -> int:
        """Ask it to end; its exit status.

        :raises psutil.TimeoutExpired: it takes longer
        """
        self._process.send_signal(signal.SIGTERM)
        status: int = self._process.wait(seconds)
        return status

    def kill(self) -> None:
        """Kill all of it at once, as losing the node would."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait(DEADLINE)


def run(cloud: Cloud, *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``glance-rawstore`` in a pipe."""
    return run_with(cloud.conf, *args)


def run_with(conf: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run it with that configuration."""
    return subprocess.run(
        [PROGRAM, '--config-file', conf, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
    )


def reconcile(cloud: Cloud, *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``glance-rawstore reconcile`` in a pipe."""
    return run(cloud, 'reconcile', *args)


def actions(stdout: str) -> list[dict[str, Any]]:
    """What ``reconcile --format json`` has told, but for one thing.

    Workers of the API write down up to a minute later what was used, of
    images of other tests as well; these uses are forgotten whenever it is.
    """
    found = json.loads(stdout)
    return [each for each in found if each['action'] != 'forget uses']


def known_attempts(pool: Pool) -> dict[str, Attempts]:
    """What is known of failed attempts."""
    with raw_pool.RawPool.open(pool.settings) as opened:
        return attempts.read_all(opened.ioctx)


@contextlib.contextmanager
def configured(
    cloud: Cloud,
    directory: Path,
    name: str,
    others: config.Options | None = None,
    **options: object,
) -> Iterator[Path]:
    """A copy of the cloud's configuration with some options changed.

    For a node of its own, with a scratch directory and hence slots of its
    own.

    :param others: options of other groups than ours
    :param options: of ours
    """
    scratch = directory / name
    scratch.mkdir()
    ours = {'scratch_dir': scratch, **options}
    text = cloud.conf.read_text()
    for group, values in {'glance_rawstore': ours, **(others or {})}.items():
        text = _put(text, group, values)
    path = scratch / 'glance-api.conf'
    path.write_text(text)
    yield path


@contextlib.contextmanager
def nodes(
    cloud: Cloud, directory: Path, count: int, **options: object
) -> Iterator[list[Agent]]:
    """As many nodes, each with an agent, slots and a log of its own.

    :param options: see :func:`configured`
    """
    with contextlib.ExitStack() as stack:
        confs = [
            stack.enter_context(
                configured(cloud, directory, f'node-{number}', **options)
            )
            for number in range(count)
        ]
        yield [
            stack.enter_context(Agent(cloud, conf.parent, conf))
            for conf in confs
        ]


def _put(text: str, group: str, values: Mapping[str, object]) -> str:
    """Put options into a group of a configuration, before those it has.

    Of an option that stands there twice, oslo.config takes the last; so
    those that are put in are taken out first.
    """
    kept, within = [], ''
    for line in text.splitlines():
        within = line if line.startswith('[') else within
        named = line.split(' = ')[0] in values
        if not (named and within == f'[{group}]'):
            kept.append(line)
    put = config.render({group: values})
    if f'[{group}]' not in kept:
        return '\n'.join([*kept, '', put])
    return '\n'.join(kept).replace(f'[{group}]', put.strip(), 1)
