# SPDX-License-Identifier: Apache-2.0
"""The last steps: the copy is there, now say so. They undo nothing."""

import time

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import states
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.step import POLL
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import insist
from glance_rawstore.tasks.step import put_location


class Publish(Step):
    """Set the location active, once the image is not being saved over."""

    def execute(self, url: str, weight: int, task_id: str) -> None:
        """Publish.

        A copy-image that runs beside us saves the locations it read before
        ours was there; so look again after it has ended.

        :raises Cancelled: the image was deleted meanwhile
        """
        wait = self.waiting(
            task_id, progress.Elapsed('Waiting for another import to end')
        )
        while True:
            put_location(self.job, url, states.Status.ACTIVE, weight)
            image = self.job.catalog.image(self.job.image_id)
            if image is None:
                raise exceptions.ImageDeleted()
            if image.import_task is None:
                put_location(self.job, url, states.Status.ACTIVE, weight)
                return
            wait(POLL)


class CloseTask(Step):
    """Tell the tenant that the copy is ready."""

    def execute(
        self, task_id: str, bytes_used: int, info: convert.Info
    ) -> None:
        """End the task well."""
        if self.job.lease is not None:
            self.job.lease.release()
        trying.made(self.job)
        seconds = time.monotonic() - self.job.started
        result = {
            'image_id': self.job.image_id,
            'store': self.job.store.name,
            'virtual_size_bytes': info.virtual_size,
            'bytes_used': bytes_used,
            'seconds': round(seconds, 1),
        }
        text = (
            f'The raw copy is ready: {progress.size(bytes_used)} used, made '
            f'in {progress.duration(seconds)}.'
        )
        # The copy is there, and maybe cloned: an error here undoes nothing.
        insist(lambda: self.job.catalog.succeed_task(task_id, result, text))
