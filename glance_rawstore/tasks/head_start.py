# SPDX-License-Identifier: Apache-2.0
"""A conversion that begins while its image is being stored.

It reads the staged file, beside the upload, and writes a ``.part`` that
nobody hears of before the image is active. Then what was stored tells, by
size and hash, whether it is what was read: if so the job goes on with the
``.part``, else it is thrown away, and the copy is made the usual way.
"""

import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable

from glance_rawstore import cluster_slots
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import lease
from glance_rawstore import making
from glance_rawstore import safety
from glance_rawstore import slots
from glance_rawstore import staged
from glance_rawstore import tickets
from glance_rawstore import tracing
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle.slices import UNKNOWN
from glance_rawstore.part import Part
from glance_rawstore.staged import Staged
from glance_rawstore.tasks import originals
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Seconds between looks at whether the hash is known.
_LOOK = 0.1


@dataclasses.dataclass(frozen=True)
class Begun:
    """What a conversion under way is made of, as the usual steps have it."""

    part: Part
    original: originals.Original
    verdict: safety.Verdict
    info: convert.Info
    done: progress.Conversion


class HeadStart:
    """The conversion of a staged file.

    :param slot: one of the node's, held until it is converted

    :ivar started: by the monotonic clock, in seconds
    """

    def __init__(self, held: Staged, slot: tickets.Slot) -> None:
        self.started = time.monotonic()
        self._staged = held
        self._slot = slot
        self._of_cluster: lease.Shared | None = None
        self._part: Part | None = None
        self._begun: Begun | None = None
        self._content = ''
        self._hashed = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    @property
    def begun(self) -> Begun:
        """What the job goes on with."""
        if self._begun is None:
            raise RuntimeError('It was not begun.')
        return self._begun

    def begin(self, job: Job, image: Image) -> None:
        """Inspect and measure, then convert and hash in the background.

        :raises RawStoreError: as the usual steps; :meth:`abandon` it then
        """
        if not self._staged.settled(job.wait):
            raise exceptions.ConversionFailed('The staged file is changing.')
        disk_format = formats.check_formats(
            image.disk_format, image.container_format
        )
        source = self._staged.source()
        verdict = safety.inspect(source, disk_format, job.options.max_size)
        self._take_of_cluster(job, image.owner or '')
        # Nobody can go on with it before it is known what it is made from.
        unknown = f'{UNKNOWN}{uuid.uuid4()}'
        part = self._part = making.reserve(
            job.raw_pool, image.image_id, job.options, unknown
        )
        info = part.measure(source, verdict, wait=job.wait)
        done = progress.Conversion(info.allocated)
        original = originals.Original(source)
        self._begun = Begun(part, original, verdict, info, done)
        self._start(self._fill, job)
        self._start(self._hash, job, image)

    def _take_of_cluster(self, job: Job, project: str) -> None:
        """Take one of the cluster's slots, if they are limited.

        :raises ConversionFailed: none is free
        """
        found = cluster_slots.limited(job.raw_pool.ioctx, job.options)
        if found is None:
            return
        self._of_cluster = found.at_once(project)
        if self._of_cluster is None:
            raise exceptions.ConversionFailed('Others convert or wait to.')

    def _give_back(self) -> None:
        """Give the slots back. Repeatable."""
        of_cluster, self._of_cluster = self._of_cluster, None
        if of_cluster is not None:
            of_cluster.release()
        self._slot.close()

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(
            target=work,
            args=args,
            name=f'{threading.current_thread().name}{work.__name__}',
            daemon=True,
        )
        self._threads.append(thread)
        thread.start()

    def _fill(self, job: Job) -> None:
        try:
            with tracing.logged_as(job.requester.request_id):
                self._convert(job)
        except BaseException as exc:
            self._error = exc
        finally:
            self._give_back()

    def _convert(self, job: Job) -> None:
        begun = self.begun
        begun.part.fill(
            begun.original.source,
            begun.verdict,
            begun.done.update,
            lambda: self._why_stop(job),
            lambda: trying.advanced(job),
        )
        if not self._staged.unchanged():
            raise exceptions.ConversionFailed(
                'The staged file was changed while it was read.'
            )

    def _why_stop(self, job: Job) -> Exception | None:
        if self._stopped.is_set() or job.stop.is_set():
            return exceptions.Interrupted()
        if job.catalog.image(job.image_id) is None:
            return exceptions.ImageDeleted()
        return None

    def _hash(self, job: Job, image: Image) -> None:
        try:
            digest = convert.digest(
                self.begun.original.source.node['filename'],
                job.catalog.hashing_algorithm,
                job.options.limits(self._staged.size),
                lambda: self._why_stop(job),
            )
            if not self._staged.unchanged():
                return
            known = dataclasses.replace(
                image, size=self._staged.size, digest=digest
            )
            self._content = known.content
            self.begun.part.record.identify(known.content)
        except exceptions.RawStoreError as exc:
            LOG.debug('Image %s: %s', image.image_id, exc)
        except Exception:
            LOG.exception('Image %s cannot be hashed', image.image_id)
        finally:
            self._hashed.set()

    def is_of(self, image: Image, wait: Callable[[float], None]) -> bool:
        """Whether it converts what was stored, and has not failed.

        :param image: as it was stored
        :param wait: sleeps that many seconds; ends the waiting by raising
        """
        if image.size != self._staged.size:
            return False
        while not self._hashed.is_set() and self._error is None:
            wait(_LOOK)
        if self._error is not None:
            LOG.info('Image %s: %s', image.image_id, self._error)
            return False
        return bool(self._content) and self._content == image.content

    def give_part(self) -> Part:
        """Hand over the ``.part``: the caller commits or removes it."""
        self._part = None
        return self.begun.part

    def join(self) -> None:
        """Wait until all is converted.

        :raises Exception: as :meth:`Part.fill`
        """
        self._end()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Stop converting; the ``.part`` stays as it is. Repeatable."""
        self._stopped.set()
        self._end()

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        self._staged.close()
        self._give_back()

    def abandon(self, patience: float) -> None:
        """Stop, and remove the ``.part``, unless it was given. Repeatable.

        :param patience: see :meth:`Part.discard`
        :raises CephUnavailable: the cluster does not answer; try again
        """
        self.stop()
        if self._part is not None:
            self._part.discard(patience)
            self._part.release()
            self._part = None


def take(job: Job, uri: str | None, project: str = '') -> HeadStart | None:
    """Hold the staged file and a slot, if both are at hand.

    Within the import, so it waits for nothing.

    :param uri: of the staged file
    :param project: that owns the image
    """
    options = job.options
    if job.catalog.hashing_algorithm not in convert.HASHES:
        return None
    if not staged.worth_it(options.staged, *staged.load()):
        return None
    slot = slots.at_once(options.scratch_dir, options.max_conversions, project)
    if slot is None:
        return None
    held = None
    try:
        held = staged.hold(uri)
    finally:
        if held is None:
            slot.close()
    return HeadStart(held, slot) if held is not None else None
