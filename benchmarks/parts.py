# SPDX-License-Identifier: Apache-2.0
"""The parts of the benchmark: each module of this package may have some.

A part is a function of a :class:`Run` with a line above it::

    @parts.part('storm', 'many imports at once')
    def _storm(run: parts.Run) -> None:
        seconds = [...]
        run.add('20 imports', seconds)
        run.compare(Comparison('storm / floor', '', ratio, at_most=1.1))

It is then found, run, reported and kept as all the others are.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib
import pkgutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import bed
from benchmarks import images
from benchmarks.comparisons import Comparison
from benchmarks.results import Measured
from benchmarks.results import Result


class Run(contextlib.ExitStack):
    """One run of the benchmark; what it has started ends with the context.

    :param options: of the command line
    :param result: to be filled
    :param glances: those that the stage has, by the names of bed.py
    :param say: tells who waits how far it is
    """

    def __init__(
        self,
        options: argparse.Namespace,
        result: Result,
        glances: Sequence[str],
        say: Callable[[str], None],
    ) -> None:
        super().__init__()
        self.options = options
        self.result = result
        self.say = say
        self._glances = glances
        self._stage: bed.Bed | None = None
        self._directory: Path | None = options.images

    @property
    def directory(self) -> Path:
        """Where images lie: for good where that was asked for."""
        if self._directory is None:
            temporary = tempfile.TemporaryDirectory()
            self._directory = Path(self.enter_context(temporary))
        self._directory.mkdir(parents=True, exist_ok=True)
        return self._directory

    @property
    def images(self) -> Sequence[images.Image]:
        """The two usual ones; made by who asks first."""
        if not self.result.images:
            self.say('making images')
            size = self.options.data * images.MIB
            self.result.images = images.make(self.directory, size)
        return self.result.images

    @property
    def stage(self) -> bed.Bed:
        """Cluster and Glances; started by who asks first."""
        if self._stage is None:
            self.say('starting Ceph, Keystone and Glances')
            stage = bed.Bed(self._glances, debug=self.options.log is not None)
            self._stage = self.enter_context(stage)
            if self.options.log:
                self.callback(self._keep_log, stage)
        return self._stage

    def _keep_log(self, stage: bed.Bed) -> None:
        if bed.OURS in stage.clouds:
            self.options.log.write_text(stage.clouds[bed.OURS].log())

    def add(
        self,
        what: str,
        values: Sequence[float],
        unit: str = 'seconds',
        image: str = '',
    ) -> Measured:
        """Add a row to the table.

        :param values: of each round, in order
        :param unit: 'seconds', 'bytes' or any other word
        :param image: or whatever else it was done with
        """
        found = Measured(what, image, tuple(values), unit)
        self.result.measured.append(found)
        self.say(f'{what}, {image}: {found.median:.6g} {unit}')
        return found

    def compare(self, comparison: Comparison) -> None:
        """Add a row to the comparisons."""
        self.result.comparisons.append(comparison)


def _no_glances(_options: argparse.Namespace) -> Sequence[str]:
    return ()


@dataclasses.dataclass(frozen=True)
class Part:
    """What ``--only`` can choose.

    :param name: there
    :param says: what it measures, in a line
    :param usual: it is done without ``--only`` too
    :param glances: those that the stage must have, by the options
    """

    name: str
    says: str
    measure: Callable[[Run], None]
    usual: bool = False
    glances: Callable[[argparse.Namespace], Sequence[str]] = _no_glances


_PARTS: dict[str, Part] = {}


def part(
    name: str,
    says: str,
    usual: bool = False,
    glances: Callable[[argparse.Namespace], Sequence[str]] = _no_glances,
) -> Callable[[Callable[[Run], None]], Callable[[Run], None]]:
    """Make a part of a function; the parameters are those of Part."""

    def register(measure: Callable[[Run], None]) -> Callable[[Run], None]:
        _PARTS[name] = Part(name, says, measure, usual, glances)
        return measure

    return register


def load() -> dict[str, Part]:
    """Return all parts by name: the usual ones first, in their order."""
    package = importlib.import_module('benchmarks')
    importlib.import_module('benchmarks.usual')
    for module in pkgutil.iter_modules(package.__path__, 'benchmarks.'):
        if not module.name.endswith('.__main__'):
            importlib.import_module(module.name)
    return dict(_PARTS)
