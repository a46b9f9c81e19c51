# SPDX-License-Identifier: Apache-2.0
"""Kill a worker at a named point of a conversion or a deletion.

Put in from outside: as a paste filter into glance-api, and around the command
into an agent. A process that comes to the point whose name stands in a file
removes the file and kills itself with SIGKILL, so that it happens once.
"""

import functools
import os
import signal
import sys
import time
from collections.abc import Callable, Collection
from typing import Any

from glance.async_.flows import api_image_import
from oslo_config import cfg

from glance_rawstore import catalog
from glance_rawstore import part
from glance_rawstore import raw_pool
from glance_rawstore import rbd_image
from glance_rawstore import record
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.tasks import flow

#: The variable with the path of the file.
VARIABLE = 'TEST_KILL_AT'

#: Beginnings of the steps that a killed process may leave at.
STEPS = tuple(step.__name__ for step in flow.STEPS)
#: The first one, at which the import itself is killed with the conversion.
DURING_IMPORT = STEPS[0]
#: The same when some of it is converted.
EARLY = 'ConvertStaged, between slices'
#: Points within a step.
CONVERTING = 'Convert, in its middle'
WRITTEN = 'Convert, slice not noted'
BETWEEN = 'Convert, between slices'
SNAPSHOT = 'Commit, snapshot taken'
PROTECTED = 'Commit, snapshot protected'
RENAMED = 'Commit, renamed'
#: Points of a deletion.
TRASHED = 'delete, trashed'
BARE = 'delete, snapshot removed'

#: An agent with this in it.
AGENT = (
    sys.executable,
    '-c',
    'import sys; from tests.functional import killing; killing.install(); '
    'from glance_rawstore import cli; sys.exit(cli.main(sys.argv[1:]))',
)


def is_meant(point: str, image_id: str) -> bool:
    """Whether this is the point, and the image meant or any image."""
    try:
        with open(os.environ[VARIABLE]) as file:
            return file.read() in (point, f'{point} {image_id}')
    except FileNotFoundError:
        return False


def reached(point: str, image_id: str = '', imported: bool = False) -> None:
    """Die here, if this is the point, and the image meant or any image.

    :param imported: not before the image's import has ended; else its lock
        would keep everybody off for an hour
    """
    if not is_meant(point, image_id):
        return
    while imported and _is_importing(image_id):
        time.sleep(0.05)
    try:
        os.unlink(os.environ[VARIABLE])
    except FileNotFoundError:
        return  # another one did
    os.kill(os.getpid(), signal.SIGKILL)


def _is_importing(image_id: str) -> bool:
    image = catalog.Catalog(cfg.CONF).image(image_id)
    return image is not None and image.import_task is not None


def _before_step(step: Any) -> None:
    original = step.execute

    @functools.wraps(original)
    def execute(self: Any, *args: Any, **kwargs: Any) -> Any:
        point, image_id = step.__name__, self.job.image_id
        if point != DURING_IMPORT and is_meant(point, image_id):
            # Else the import is killed in its last steps as well, and its
            # lock keeps everybody off for an hour.
            self.await_import(lambda image: image.import_task is None)
        reached(point, image_id)
        return original(self, *args, **kwargs)

    step.execute = execute


def _after(owner: Any, name: str, point: str) -> None:
    original = getattr(owner, name)

    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        reached(point)
        return result

    setattr(owner, name, wrapper)


def _of(image: Any) -> str:
    """Id of the image whose copy an open RBD image is."""
    parsed = raw_copy.parse(image.get_name())
    return parsed[0] if parsed else ''


def _noting(done: Callable[..., None]) -> Callable[..., None]:
    """Points before and after the note that a slice is done."""

    def noting(self: record.Record, *args: Any, **kwargs: Any) -> None:
        image_id = _image_of(self)
        reached(WRITTEN, image_id, imported=True)
        done(self, *args, **kwargs)
        if self.todo.left():
            reached(EARLY, image_id)

    return noting


def _image_of(found: record.Record) -> str:
    """Id of the image whose slices they are."""
    names = found._pool._rbd.list2(found._pool.ioctx)
    ids = {each['id']: each['name'] for each in names}
    parsed = raw_copy.parse(ids.get(found.rbd_id, ''))
    return parsed[0] if parsed else ''


def hold_while_meant(points: Collection[str], image_id: str) -> None:
    """Wait for as long as one of these is the point."""
    while any(is_meant(point, image_id) for point in points):
        time.sleep(0.05)


def storing(
    points: Collection[str], store: Callable[..., None]
) -> Callable[..., None]:
    """Store nothing of an import that is to die at one of these points."""

    def held(self: Any, action: Any, file_path: str) -> None:
        hold_while_meant(points, action.image_id)
        store(self, action, file_path)

    return held


def install() -> None:
    """Put the points into this process."""
    for step in flow.STEPS:
        _before_step(step)
    _after(raw_pool.RawPool, 'commit', RENAMED)
    _after(raw_pool.RawPool, '_trash', TRASHED)
    _after(rbd_image, 'remove_snapshots', BARE)
    record.Record.done = _noting(record.Record.done)  # type: ignore[method-assign]
    protect = rbd_image.protect
    fill = part.Part.fill

    def protecting(image: Any, name: str = raw_copy.SNAPSHOT) -> None:
        if name not in [snap['name'] for snap in image.list_snaps()]:
            image.create_snap(name)
            reached(SNAPSHOT, _of(image))
        protect(image, name)
        reached(PROTECTED, _of(image))

    def filling(
        self: part.Part,
        source: Any,
        verdict: Any,
        told: part.Progress,
        stop: part.Stop,
        advanced: Callable[[], None] = lambda: None,
    ) -> None:
        def updating(done: float) -> None:
            told(done)
            if 0 < done < 1:
                reached(CONVERTING, self.image_id, imported=True)

        def advancing() -> None:
            # Nobody can go on with what is not yet known to be stored.
            while is_meant(
                BETWEEN, self.image_id
            ) and self.record.source.startswith('staged/'):
                time.sleep(0.05)
            reached(BETWEEN, self.image_id, imported=True)
            advanced()

        fill(self, source, verdict, updating, stop, advancing)

    to_store = api_image_import._ImportToStore
    to_store._execute = storing((EARLY,), to_store._execute)
    rbd_image.protect = protecting
    part.Part.fill = filling  # type: ignore[assignment, method-assign]


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], Any]:
    """A paste filter that does nothing but install the points."""
    install()
    return lambda app: app
