# SPDX-License-Identifier: Apache-2.0
"""Make a copy: reserve, fill, and nothing left if it fails.

What the import's background flow and the driver's ``add`` have in common.
"""

import contextlib
from collections.abc import Callable

from oslo_utils import units

from glance_rawstore import ceph
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import noting
from glance_rawstore import raw_pool
from glance_rawstore import safety
from glance_rawstore import sources
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.options import Options


def _take(
    pool: raw_pool.RawPool, rbd_id: str, options: Options
) -> lease.Lease:
    taken = lease.Lease(pool.ioctx, rbd_id, options.lease_duration)
    taken.acquire()
    return taken


def clear_dead(
    pool: raw_pool.RawPool, image_id: str, options: Options
) -> None:
    """Remove a ``.part`` on which nobody holds the lease any more.

    :raises LeaseHeld: a living worker has it
    """
    rbd_id = pool.rbd_id(raw_copy.part_name(image_id))
    if rbd_id is None:
        return
    with contextlib.suppress(exceptions.NotFound):
        taken = _take(pool, rbd_id, options)
        try:
            # It may have been committed since; this notes who writes it, too.
            if pool.has_part(image_id, rbd_id):
                pool.discard(image_id, rbd_id)
        finally:
            taken.release()


def reserve(
    pool: raw_pool.RawPool, image_id: str, options: Options
) -> tuple[str, lease.Lease]:
    """Create the ``.part`` and take the lease on it.

    It has no size until the original has been inspected: librbd would take
    for ever to remove an image of the 4 EiB that a header may name. Takes
    over from a dead worker, by removing what that one left.

    :returns: internal id of the RBD image, and the lease
    :raises LeaseHeld: a living worker is making this copy
    :raises CopyExists: it is made already
    """
    try:
        rbd_id = pool.begin(image_id, 0, options.object_size)
    except exceptions.LeaseHeld:
        clear_dead(pool, image_id, options)
        rbd_id = pool.begin(image_id, 0, options.object_size)
    try:
        return rbd_id, _take(pool, rbd_id, options)
    except exceptions.LeaseHeld:
        raise  # another began anew under the name, so it is not ours
    except exceptions.NotFound as exc:
        # Another worker found it without a lease yet, and began anew.
        raise exceptions.LeaseHeld() from exc
    except BaseException:
        pool.discard(image_id, rbd_id)
        raise


class Filling:
    """The writing of one reserved ``.part``.

    :param pool: the raw pool
    :param settings: how qemu-img reaches that pool
    :param image_id: whose copy it is
    :param rbd_id: internal id of the ``.part``
    :param source: the inspected original
    :param verdict: what the inspection found
    """

    def __init__(
        self,
        pool: raw_pool.RawPool,
        settings: ceph.Settings,
        image_id: str,
        rbd_id: str,
        source: convert.Node,
        verdict: safety.Verdict,
        options: Options,
    ) -> None:
        self._pool = pool
        self._settings = settings
        self._image_id = image_id
        self._rbd_id = rbd_id
        self._source = convert.source_node(verdict.driver, source)
        self._options = options
        self._qemu_img = convert.QemuImg(options.limits(verdict.virtual_size))

    def measure(self) -> convert.Info:
        """Measure the original, and give the ``.part`` its exact size.

        A few MiB of qcow2 may stand for TiBs of data, its clusters being
        shared, so what will be written is compared with what is free.

        :raises TooLarge: qemu-img sees another size than the header names
        :raises NoSpace: there is more data than free space
        """
        info = self._qemu_img.info(self._source)
        safety.check_size(info.virtual_size, self._options.max_size)
        free = self._pool.available()
        if info.allocated > free:
            raise exceptions.NoSpace(
                f'The image has {info.allocated / units.Gi:.1f} GiB of data, '
                f'and {free / units.Gi:.1f} GiB are free.'
            )
        self._pool.resize(self._image_id, self._rbd_id, info.virtual_size)
        return info

    def run(
        self,
        progress: Callable[[float], None],
        stop: Callable[[], Exception | None],
    ) -> None:
        """Write the guest's data, and judge what came out.

        :param progress: called with the part done, 0.0 to 1.0
        :param stop: gives an exception to stop with, asked twice a second
        :raises ConversionFailed: see :meth:`convert.QemuImg.convert`
        :raises UnsafeImage: the result is a disk image in itself
        """
        part = raw_copy.part_name(self._image_id)
        target = convert.rbd_node(
            self._settings.pool,
            part,
            self._settings.conf_file,
            self._settings.user,
        )
        with noting.Noting(self._note) as noted:

            def told(done: float) -> None:
                noted.update(done)
                progress(done)

            calls = convert.Callbacks(
                progress=told,
                stop=stop,
                full=lambda: self._pool.full(self._rbd_id),
            )
            self._qemu_img.convert(
                self._source, target, self._options.requests, calls
            )
        with self._pool.image(part, read_only=True) as image:
            safety.inspect_result(
                sources.RbdSource(self._pool.client, image, target)
            )

    def _note(self, percent: int) -> None:
        self._pool.set_progress(self._image_id, self._rbd_id, percent)
