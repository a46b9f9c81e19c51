# SPDX-License-Identifier: Apache-2.0
"""A conversion of the staged file, instead of what is stored of it.

It runs beside the upload, where cores are idle, or begins as soon as Glance
has let go of the file: then nothing at all is done beside the upload. The
``.part`` is one that nobody hears of before the image is active. Then what was
stored tells, by size and hash, whether it is what was read: if so the job goes
on with the ``.part``, else it is thrown away, and the copy is made the usual
way.
"""

import dataclasses
import logging
import threading
import time
import uuid
from collections.abc import Callable

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import making
from glance_rawstore import safety
from glance_rawstore import slots
from glance_rawstore import tickets
from glance_rawstore import tracing
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle.slices import UNKNOWN
from glance_rawstore.part import Part
from glance_rawstore.staged import Staged
from glance_rawstore.tasks import both_slots
from glance_rawstore.tasks import originals
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Seconds between looks: is the hash known, and is the file let go?
_LOOK = 0.1
_SOON = 0.02
#: Seconds between looks at whether others wait for the slot.
_OTHERS = 1.0
#: Seconds for which a hash is waited for when nothing else is left to do. It
#: takes idle cores only, of which there may be none.
_PATIENCE = 10.0


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

    :param slot: one of the node's, held until the job ends
    :param beside: convert it beside the upload, instead of after it
    :ivar left: the ``.part``, if it is for others: Ceph has shut us out
    """

    def __init__(self, held: Staged, slot: tickets.Slot, beside: bool) -> None:
        self._staged = held
        self._slots = both_slots.BothSlots(slot)
        self._beside = beside
        self._started: float | None = None
        self._part: Part | None = None
        self.left: Part | None = None
        self._begun: Begun | None = None
        self._content = ''
        self._filled = threading.Event()
        self._hashed = threading.Event()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []
        self._error: BaseException | None = None

    @property
    def started(self) -> float:
        """When it was first converted, by the monotonic clock, in seconds."""
        return self._started or time.monotonic()

    @property
    def begun(self) -> Begun:
        """What the job goes on with."""
        if self._begun is None:
            raise RuntimeError('It was not begun.')
        return self._begun

    def begin(self, job: Job, image: Image) -> None:
        """Inspect and measure; hash and convert in the background.

        Not before the upload has ended, unless it is to be done beside it.

        :raises RawStoreError: as the usual steps; :meth:`abandon` it then
        """
        if not self._beside:
            self._await_upload(job)
        if not self._staged.settled(job.wait):
            raise exceptions.ConversionFailed('The staged file is changing.')
        disk_format = formats.check_formats(
            image.disk_format, image.container_format
        )
        source = self._staged.source()
        verdict = safety.inspect(source, disk_format, job.options.max_size)
        self._slots.take(job, image.owner or '')
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

    def _await_upload(self, job: Job) -> None:
        """Wait until the upload has ended, as long as nobody needs the slot.

        Glance removes the file's name then. Where that cannot be seen (NFS
        keeps one that is open), or is not done, the image tells.

        :raises ConversionFailed: somebody needs it, or it was not stored
        """
        look, wanted = time.monotonic() + _OTHERS, False
        while not self._staged.nameless():
            job.wait(_SOON)
            if time.monotonic() < look:
                continue
            look = time.monotonic() + _OTHERS
            image = job.catalog.image(job.image_id)
            if image is None or not (image.import_task and image.being_stored):
                if image is None or image.status != 'active':
                    raise exceptions.ConversionFailed('It was not stored.')
                return
            # Whoever takes a free slot is seen to wait for a moment.
            before, wanted = wanted, slots.wanted(job.options.scratch_dir)
            if before and wanted:
                raise exceptions.ConversionFailed('Others wait to convert.')

    def _start(self, work: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(
            target=work,
            args=args,
            name=f'{threading.current_thread().name}{work.__name__}',
            daemon=True,
        )
        thread.start()
        self._threads.append(thread)

    def _fill(self, job: Job) -> None:
        try:
            with tracing.logged_as(job.requester.request_id):
                self._convert(job)
        except BaseException as exc:
            self._error = exc
        finally:
            self._filled.set()
            self._slots.end()

    def _convert(self, job: Job) -> None:
        begun = self.begun
        self._started = time.monotonic()
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
        if self._stopped.is_set() or job.stop.is_set() or self._error:
            return exceptions.Interrupted()
        return job.deleted()

    def _hash(self, job: Job, image: Image) -> None:
        limits = job.options.limits(self._staged.size)
        try:
            digest = convert.digest(
                self.begun.original.source.node['filename'],
                job.catalog.hashing_algorithm,
                dataclasses.replace(limits, idle=self._beside),
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
        until = time.monotonic() + _PATIENCE
        while not self._hashed.is_set() and self._error is None:
            wait(_LOOK)
            if not self._filled.is_set():
                until = time.monotonic() + _PATIENCE
            elif time.monotonic() > until:
                break
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
        self._slots.give_back()

    def _end(self) -> None:
        for thread in self._threads:
            thread.join()
        self._staged.close()

    def abandon(self, patience: float) -> None:
        """Stop, and remove the ``.part``, unless it was given. Repeatable.

        :param patience: see :meth:`Part.discard`
        :raises CephUnavailable: the cluster does not answer; try again
        """
        self.stop()
        if self._part is not None:
            try:
                self._part.discard(patience)
            except exceptions.Blocklisted:
                self.left = self._part
                self._part.release()
                raise
            self._part.release()
            self._part = None
