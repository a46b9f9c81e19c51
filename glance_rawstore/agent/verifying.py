# SPDX-License-Identifier: Apache-2.0
"""Compare a copy with its original, byte by byte. Changes neither."""

import dataclasses
import logging
import threading
from collections.abc import Callable

from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import nodes
from glance_rawstore import raw_pool
from glance_rawstore import safety
from glance_rawstore.agent.node import Node
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.tasks import originals
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

Tell = Callable[[float | None, str], None]


@dataclasses.dataclass(frozen=True)
class Found:
    """What a comparison has found.

    :param size: of the guest's disk, in bytes, as the original has it
    :param copy_size: the same of the copy
    :param first: where the first difference is, in bytes; None for none
    :param clonable: whether the copy has the snapshot that is compared
    """

    size: int
    copy_size: int
    first: int | None = None
    clonable: bool = True

    @property
    def identical(self) -> bool:
        """Whether the guest would see the same."""
        same = self.first is None and self.size == self.copy_size
        return same and self.clonable


class Verifying:
    """Compares copies with originals.

    :param node: what to work with
    :param pool: its open raw pool
    """

    def __init__(self, node: Node, pool: raw_pool.RawPool) -> None:
        self._node = node
        self._pool = pool

    def check(self, image_id: str) -> Image:
        """The image, if it has an active copy to be compared.

        :raises NotFound: there is no image, or no active copy
        """
        image = self._node.catalog.existing(image_id)
        if self._pool.status(image_id) is not Status.ACTIVE:
            raise exceptions.NotFound('The image has no active raw copy.')
        return image

    def verify(self, image_id: str, tell: Tell) -> Found:
        """Compare one.

        The original is judged before qemu-img opens it, as for a conversion.

        :param tell: called with the part done, 0.0 to 1.0 or None, and a
            sentence
        :raises NotFound: see :meth:`check`
        :raises Refused: the original is not safe to be opened
        :raises ConversionFailed: one of them cannot be read
        """
        image = self.check(image_id)
        job = self._node.job(image_id, threading.Event())
        readers: set[str] = set()
        try:
            with originals.open_original(
                job, image, lambda text: tell(None, text)
            ) as original:
                readers = original.readers
                return self._compare(job, image, original, tell)
        except exceptions.Refused:
            raise
        except BaseException:
            # Who deletes an image that is being read fails half-way.
            originals.repair(job, image, readers)
            raise

    def _compare(
        self,
        job: Job,
        image: Image,
        original: originals.Original,
        tell: Tell,
    ) -> Found:
        disk_format = formats.check_formats(
            image.disk_format, image.container_format
        )
        verdict = safety.inspect(
            original.source, disk_format, job.options.max_size
        )
        size = verdict.virtual_size
        qemu_img = convert.QemuImg(job.options.limits(size))
        node = verdict.node(original.source.node)
        original.note_others()
        info = qemu_img.info(node)
        copy_size = self._pool.size(image.image_id)
        clonable = self._pool.clonable(image.image_id)
        if info.virtual_size != copy_size or not clonable:
            return Found(info.virtual_size, copy_size, None, clonable)
        tell(0.0, 'Comparing')
        calls = child.Callbacks(
            progress=lambda done: tell(done, 'Comparing'),
            stop=lambda: self._stop(job, original),
        )
        copy = self._copy(image.image_id)
        first = qemu_img.compare(node, copy, calls)
        return Found(info.virtual_size, copy_size, first)

    def _copy(self, image_id: str) -> nodes.Node:
        """How qemu reaches what consumers clone."""
        protocol = self._pool.node(raw_copy.name(image_id))
        at = {'snapshot': raw_copy.SNAPSHOT}
        return nodes.source('raw', {**protocol, **at})

    def _stop(
        self, job: Job, original: originals.Original
    ) -> Exception | None:
        """Why to stop: somebody deletes the image, or its copy."""
        original.note_readers()
        if (deleted := job.deleted()) is not None:
            return deleted
        if self._pool.status(job.image_id) is not Status.ACTIVE:
            return exceptions.NotFound('The copy was deleted meanwhile.')
        return None
