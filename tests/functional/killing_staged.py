# SPDX-License-Identifier: Apache-2.0
"""Points at which a worker dies that converts a staged file after its upload.

Only with ``convert_staged = after`` is there any of these; the others are in
:mod:`killing`. Put into glance-api as a paste filter.
"""

import functools
import threading
import time
from collections.abc import Callable
from typing import Any

import psutil
from glance.async_.flows import api_image_import

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import making
from glance_rawstore.part import Part
from glance_rawstore.tasks import head_start
from glance_rawstore.tasks.job import Job
from tests.functional import killing

#: The file is held open with a slot, and the upload is under way.
AWAITING = 'ConvertStaged, upload awaited'
#: Its name is gone, nothing is read of it, and the import has not ended.
LET_GO = 'ConvertStaged, file let go'
#: There is a ``.part`` without a size, and the import has not ended.
RESERVED = 'ConvertStaged, copy reserved'
#: The child that hashes is halfway, and nobody can go on with the ``.part``.
HASHING = 'ConvertStaged, hashing'
#: All is converted, nothing is committed, the next one may begin.
ENDING = 'ConvertStaged, slot ending'

#: Points at which the import dies with its conversion, and the image with it.
DURING_IMPORT = (AWAITING,)
#: Points at which the import dies after its image has become active.
IN_LAST_STEPS = (LET_GO, RESERVED)
POINTS = (*DURING_IMPORT, *IN_LAST_STEPS, HASHING, ENDING)

_HASHERS = frozenset(convert.HASHES.values())
_hashing = threading.local()


def install() -> None:
    """Put the points into this process, with all the others."""
    killing.install()
    _hold_imports()
    start = head_start.HeadStart
    start._await_upload = _awaiting(start._await_upload)  # type: ignore[method-assign]
    start._fill = _ending(start._fill)  # type: ignore[method-assign]
    start._hash = _told(start._hash)  # type: ignore[method-assign]
    making.reserve = _reserving(making.reserve)
    child.Watch.start = _watching(child.Watch.start)  # type: ignore[method-assign]


def _hold_imports() -> None:
    """Let none end that is to die with its conversion."""
    to_store = api_image_import._ImportToStore
    to_store._execute = killing.storing(DURING_IMPORT, to_store._execute)
    complete = api_image_import._CompleteTask
    finish = complete.execute

    def finishing(self: Any) -> None:
        killing.hold_while_meant(IN_LAST_STEPS, self.action_wrapper.image_id)
        finish(self)

    complete.execute = finishing


def _awaiting(await_upload: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(await_upload)
    def awaiting(self: head_start.HeadStart, job: Job) -> None:
        nameless = self._staged.nameless

        def asked() -> bool:
            gone = nameless()
            killing.reached(LET_GO if gone else AWAITING, job.image_id)
            return gone

        self._staged.nameless = asked  # type: ignore[method-assign]
        await_upload(self, job)

    return awaiting


def _reserving(reserve: Callable[..., Part]) -> Callable[..., Part]:
    @functools.wraps(reserve)
    def reserving(pool: Any, image_id: str, *args: Any) -> Part:
        part = reserve(pool, image_id, *args)
        killing.reached(RESERVED, image_id)
        return part

    return reserving


def _ending(fill: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(fill)
    def ending(self: head_start.HeadStart, job: Job) -> None:
        fill(self, job)
        killing.reached(ENDING, job.image_id, imported=True)

    return ending


def _told(hash_file: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(hash_file)
    def told(self: head_start.HeadStart, job: Job, image: Any) -> None:
        _hashing.image_id = job.image_id
        hash_file(self, job, image)

    return told


def _watching(start: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(start)
    def watching(self: child.Watch, process: Any) -> None:
        start(self, process)
        image_id = getattr(_hashing, 'image_id', '')
        if image_id and killing.is_meant(HASHING, image_id):
            _stop(psutil.Process(process.pid))
            killing.reached(HASHING, image_id, imported=True)

    return watching


def _stop(hasher: psutil.Process) -> None:
    """Stop it as soon as it is what hashes, and not what that is put behind.

    It goes on by a millisecond each, not to be over when we are slow.
    """
    while True:
        hasher.suspend()
        while (status := hasher.status()) != psutil.STATUS_STOPPED:
            assert status != psutil.STATUS_ZOMBIE, 'it has ended'
        if hasher.name() in _HASHERS:
            return
        hasher.resume()
        time.sleep(0.001)


def filter_factory(
    _global_conf: dict[str, str], **_local_conf: str
) -> Callable[[Any], Any]:
    """A paste filter that does nothing but install the points."""
    install()
    return lambda app: app
