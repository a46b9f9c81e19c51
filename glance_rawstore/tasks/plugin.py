# SPDX-License-Identifier: Apache-2.0
"""DOOR: Glance's import plugin ``raw_cache``.

Runs within an import before the data is stored, so all it does is to look
whether a copy is wanted, to open the staged file, and to start the conversion
in a thread of its own. It never holds an import up and never fails one.
"""

import atexit
import contextlib
import logging
import threading
import time
from typing import Any

from oslo_config import cfg
from taskflow import task
from taskflow.patterns import linear_flow

from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import opts
from glance_rawstore import stores
from glance_rawstore import wishes
from glance_rawstore.catalog import SENDER
from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import Image
from glance_rawstore.catalog import Requester
from glance_rawstore.options import Options
from glance_rawstore.tasks import early
from glance_rawstore.tasks import flow
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

#: Seconds that a process which ends gives its conversions to undo.
_GRACE = 20.0


class Jobs:
    """The conversions of this process.

    Their threads are daemons: a process that must end is not held up by a
    conversion, it stops it.
    """

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._lock = threading.Lock()
        self._registered = False

    @property
    def stopping(self) -> threading.Event:
        """Set when the process ends."""
        return self._stop

    def start(self, job: Job) -> None:
        """Run a conversion in the background."""
        thread = threading.Thread(
            target=self._run,
            args=(job,),
            name=f'raw-copy-{job.image_id}',
            daemon=True,
        )
        with self._lock:
            if not self._registered:
                # Here, not on import: under uWSGI a worker is forked first.
                atexit.register(self.stop)
                self._registered = True
            thread.start()  # which may fail
            self._threads.add(thread)

    def _run(self, job: Job) -> None:
        try:
            flow.run(job)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def stop(self) -> None:
        """Stop every conversion and wait, within bounds, for its undo."""
        self._stop.set()
        until = time.monotonic() + _GRACE
        for thread in list(self._threads):
            thread.join(max(0.0, until - time.monotonic()))
        SENDER.flush()


JOBS = Jobs()


def _is_for_us(image: Image, conf: cfg.ConfigOpts) -> bool:
    """Whether there is a wish, or something to say about it."""
    opts.register(conf)
    enabled = conf[opts.GROUP].raw_cache_default
    default = wishes.by_default(
        enabled, image.disk_format, image.container_format
    )
    return wishes.mentioned(image.properties, default)


class StartRawCopy(task.Task):  # type: ignore[misc]
    """Start a conversion when the image asks for one."""

    def __init__(self, **kwargs: Any) -> None:
        task_id, task_type = kwargs.get('task_id'), kwargs.get('task_type')
        super().__init__(name=f'{task_type}-RawCopy-{task_id}')
        self._image_id = str(kwargs['image_id'])
        self._backends = kwargs.get('backend') or ()
        context = kwargs.get('context')
        self._requester = Requester(
            getattr(context, 'user_id', None),
            getattr(context, 'request_id', None),
        )

    def execute(self, file_path: str | None = None, **_kwargs: Any) -> None:
        """Look and start; an error here is ours, not the import's.

        :param file_path: URI of the staged file, from an earlier step
        """
        try:
            self._start(file_path)
        except Exception:
            LOG.exception(
                'No raw copy of image %s can be made', self._image_id
            )

    def _start(self, file_path: str | None) -> None:
        conf = cfg.CONF
        catalog = Catalog(conf)
        image = catalog.image(self._image_id)
        if image is None or not _is_for_us(image, conf):
            return
        configured = stores.read(conf)
        raw = stores.raw_stores(configured)
        if not raw:
            LOG.warning(
                'Image %s wants a raw copy, but enabled_backends names no '
                'store with the driver %s.',
                self._image_id,
                stores.DRIVER,
            )
            return
        job = Job(
            image_id=self._image_id,
            store=raw[0],
            all_stores=configured,
            options=Options.read(conf, raw[0].name),
            catalog=catalog,
            requester=self._requester,
            stop=JOBS.stopping,
            resources=contextlib.ExitStack(),
        )
        if self._may_begin(job, image):
            job.head_start = early.take(job, file_path, image.owner or '')
        try:
            JOBS.start(job)
        except BaseException:
            if job.head_start is not None:
                job.head_start.stop()
            raise

    def _may_begin(self, job: Job, image: Image) -> bool:
        """Whether a conversion may begin before the image is stored.

        Not if the import itself brings the image to the raw store, which then
        makes the copy.
        """
        default = job.options.by_default
        try:
            formats.check_formats(image.disk_format, image.container_format)
            wanted = wishes.wanted(image.properties, default)
        except exceptions.Refused:
            return False
        return wanted and job.store.name not in self._backends


def get_flow(**kwargs: Any) -> linear_flow.Flow:
    """The plugin's part of an import flow.

    :param kwargs: what Glance hands to every plugin
        (``glance.async_.flows.api_image_import.get_flow``)
    """
    return linear_flow.Flow(kwargs.get('task_type')).add(
        StartRawCopy(**kwargs)
    )
