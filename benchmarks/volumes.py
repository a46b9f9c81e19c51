# SPDX-License-Identifier: Apache-2.0
"""How long Cinder takes to make a volume from an image.

Cinder's own code on its RBD driver, told by Glance about the raw copy, which
it clones; against the same of an image in a Glance without us, which it
downloads and converts. Both take turns.
"""

from __future__ import annotations

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import bed
from benchmarks import imports
from benchmarks.images import MIB
from benchmarks.images import Image
from tests.consumers import configuration
from tests.consumers.process import CINDER
from tests.consumers.process import Consumer
from tests.processes import ProcessError

#: Times that each makes a volume of an image.
COUNT = 3

#: Rows of the result.
CLONE, DOWNLOAD = 'volume: raw copy', 'volume: glance alone'

_POOL = 'volumes'
_GIB = 1024 * MIB


class Maker:
    """A Cinder that asks one Glance.

    :param clones: whether its volumes must be clones
    """

    def __init__(
        self, stage: bed.Bed, cinder: Consumer, image: str, clones: bool
    ) -> None:
        self._stage = stage
        self._cinder = cinder
        self._image = image
        self._clones = clones

    def make(self, size: int) -> float:
        """Make a volume, remove it; return how many seconds it took to make.

        :param size: in GiB
        :raises ProcessError: it was made in another way than expected
        """
        session = self._stage.keystone.session(imports.TENANT)
        user = {
            'token': session.get_token(),
            'user_id': session.get_user_id(),
            'project_id': session.get_project_id(),
        }
        start = time.monotonic()
        name = self._cinder.call(
            'create', user=user, image_id=self._image, size=size
        )
        taken = time.monotonic() - start
        cloned = 'parent:' in self._stage.cluster.rbd(
            'info', f'{_POOL}/{name}'
        )
        self._cinder.call('delete', name=name)
        if cloned != self._clones:
            raise ProcessError(f'{name}: cloned is {cloned}, which is wrong')
        return taken


def measure(
    stage: bed.Bed,
    image: Image,
    say: Callable[[str], None],
    count: int,
    warm_ups: int,
) -> dict[str, list[float]]:
    """Make volumes of an image both ways; return seconds by row.

    :param say: is told how long each took
    :param count: times that each makes one
    :param warm_ups: times before those, not timed
    """
    size = -(-image.virtual // _GIB)
    seconds: dict[str, list[float]] = {CLONE: [], DOWNLOAD: []}
    with _makers(stage, image) as makers:
        for number in range(warm_ups + count):
            for row, maker in makers.items():
                taken = maker.make(size)
                if number >= warm_ups:
                    seconds[row].append(taken)
                    say(f'{image.name}: {row} {taken:.2f} s')
    return seconds


@contextlib.contextmanager
def _makers(stage: bed.Bed, image: Image) -> Iterator[dict[str, Maker]]:
    """The image in both Glances, in ours with its copy, and a Cinder each."""
    _prepare(stage)
    with contextlib.ExitStack() as stack:
        makers = {}
        for row, who in ((CLONE, bed.OURS), (DOWNLOAD, bed.ALONE)):
            cloud = stage.clouds[who]
            ours = who == bed.OURS
            job = stack.enter_context(imports.staged(cloud, image, raw=ours))
            job.run()
            made = stack.enter_context(tempfile.TemporaryDirectory())
            conf = configuration.cinder(cloud, Path(made))
            cinder = stack.enter_context(Consumer(CINDER, conf, cloud.port))
            makers[row] = Maker(stage, cinder, job.image_id, ours)
        yield makers


def _prepare(stage: bed.Bed) -> None:
    """Cinder's pool and users; can be done again."""
    stage.cluster.create_pool(_POOL)
    raw = stage.clouds[bed.OURS].raw_pool
    stage.cluster.user(
        'cinder',
        {
            'mon': 'profile rbd',
            'mgr': f'profile rbd pool={_POOL}',
            'osd': f'profile rbd pool={_POOL}, '
            f'profile rbd-read-only pool={raw}',
        },
    )
    # Glance shows tenants' images to no service that is not admin.
    stage.keystone.grant('cinder', 'admin')
