# SPDX-License-Identifier: Apache-2.0
"""What is converted of a staged file: held in an import, begun, compared."""

import logging
from typing import Any

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import slots
from glance_rawstore import staged
from glance_rawstore.catalog import Image
from glance_rawstore.tasks import progress
from glance_rawstore.tasks.head_start import HeadStart
from glance_rawstore.tasks.job import Job
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import give_up_head_start
from glance_rawstore.tasks.step import taken_over

LOG = logging.getLogger(__name__)


def take(job: Job, uri: str | None, project: str = '') -> HeadStart | None:
    """Hold the staged file and a slot, if both are at hand.

    Within the import, so it waits for nothing; and raises nothing, since the
    copy can be made without it.

    :param uri: of the staged file
    :param project: that owns the image
    """
    try:
        return _take(job, uri, project)
    except Exception:
        LOG.exception('Image %s is converted when it is stored', job.image_id)
        return None


def _take(job: Job, uri: str | None, project: str) -> HeadStart | None:
    options = job.options
    if job.catalog.hashing_algorithm not in convert.HASHES:
        return None
    if options.staged == 'never':
        return None
    beside = staged.beside(options.staged, *staged.load())
    slot = slots.at_once(options.scratch_dir, options.max_conversions, project)
    if slot is None:
        return None
    held = None
    try:
        held = staged.hold(uri)
    finally:
        if held is None:
            slot.close()
    return None if held is None else HeadStart(held, slot, beside)


class ConvertStaged(Step):
    """Begin to convert the staged file, if the import's plugin holds it.

    Where that fails, the copy is made the usual way, which tells why if it
    fails again.
    """

    def execute(self) -> None:
        """Begin; raises nothing."""
        head_start = self.job.head_start
        if head_start is None:
            return
        try:
            image = self.job.catalog.image(self.job.image_id)
            if image is not None:
                head_start.begin(self.job, image)
                return
        except exceptions.RawStoreError as exc:
            LOG.info(
                'Image %s is converted when it is stored: %s',
                self.job.image_id,
                exc,
            )
        except Exception:
            LOG.exception(
                'Image %s cannot be converted before it is stored',
                self.job.image_id,
            )
        give_up_head_start(self.job)

    def revert(self, **_kwargs: Any) -> None:
        """Remove what is converted of an image that is not stored."""
        give_up_head_start(self.job)


class CompareStored(Step):
    """Go on with what is converted, if it is of what was stored."""

    def execute(self, image: Image, task_id: str) -> None:
        """Compare size and hash; drop what is of anything else.

        :raises Cancelled: the image or the process goes away
        :raises Blocklisted: nobody can go on until our lease has run out
        """
        if self.job.head_start is not None:
            self._compare(self.job.head_start, image, task_id)
        left = self.job.left
        # If another worker has it, that one is met when it is reserved.
        if left is not None and not taken_over(self.job, left):
            raise exceptions.Blocklisted()

    def _compare(
        self, head_start: HeadStart, image: Image, task_id: str
    ) -> None:
        wait = self.waiting(
            task_id, progress.Elapsed('Comparing with what was stored')
        )
        if head_start.is_of(image, wait):
            LOG.info(
                'Image %s: its staged file is what was stored, and is '
                'converted',
                image.image_id,
            )
        else:
            LOG.info(
                'Image %s: what was staged is not what was stored, or could '
                'not be converted',
                image.image_id,
            )
            give_up_head_start(self.job)
