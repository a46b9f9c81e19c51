# SPDX-License-Identifier: Apache-2.0
"""The steps by which Glance is told: pending, active, done."""

import time
from typing import Any

from taskflow.types import failure

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import wording
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import states
from glance_rawstore.part import Part
from glance_rawstore.tasks import outcome
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.insisting import insist
from glance_rawstore.tasks.insisting import persist
from glance_rawstore.tasks.step import POLL
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import put_location
from glance_rawstore.tasks.step import reason


class WaitUntilImported(Step):
    """Wait until the import has let go of the image.

    In its last steps it still saves the image, and that save would drop a
    location which it does not know.
    """

    def execute(self, image: Image) -> None:
        """Wait.

        :raises Cancelled: the import failed, or the image is gone
        """
        now = self.await_end_of_import(image)
        if now.updated_at != image.updated_at:
            trying.count(self.job, now)  # it is another version


class ReserveLocation(Step):
    """Put the location on the image, as pending."""

    default_provides = 'url'

    def execute(self, part: Part, weight: int) -> str:
        """Add the row; returns the location's URL."""
        url = part.pool.url(part.image_id)
        put_location(self.job, url, states.Status.PENDING, weight)
        return url

    def revert(
        self,
        result: Any,
        part: Part,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """Remove the row, unless somebody goes on."""
        why = reason(flow_failures)
        if isinstance(why, exceptions.LeaseLost) or self.job.hands_over(why):
            return
        if not isinstance(result, failure.Failure):
            insist(self.job, lambda: self._remove(part, result))

    def _remove(self, part: Part, url: str) -> None:
        # A worker that hung may have failed for any reason.
        if not part.taken_over(self.job.raw_pool):
            self.job.catalog.remove_location(self.job.image_id, url)


class Publish(Step):
    """Set the location active, once the image is not being saved over.

    Undoes nothing, as all steps from here on.
    """

    def execute(self, url: str, weight: int, task_id: str) -> None:
        """Publish.

        A copy-image that runs beside us saves the locations it read before
        ours was there; so look again after it has ended.

        :raises Cancelled: the image was deleted meanwhile, or our process
            goes away
        """
        wait = self.waiting(
            task_id, progress.Elapsed('Waiting for another import to end')
        )

        def put() -> None:
            put_location(self.job, url, states.Status.ACTIVE, weight)

        while True:
            # The copy is there, and may have taken hours.
            persist(put, self.job.wait)
            image = self.job.look()
            if image is not None and image.import_task is None:
                persist(put, self.job.wait)
                return
            wait(POLL)


class CloseTask(Step):
    """Tell the tenant that the copy is ready."""

    def execute(
        self,
        part: Part,
        info: convert.Info,
        bytes_used: int,
        started: float,
        task_id: str,
    ) -> None:
        """End the task well."""
        part.release()
        self.job.renew()  # the copy is made, whatever has become of us
        trying.made(self.job)
        seconds = time.monotonic() - started
        result = {
            'image_id': self.job.image_id,
            'store': self.job.store.name,
            'virtual_size_bytes': info.virtual_size,
            'bytes_used': bytes_used,
            'seconds': round(seconds, 1),
        }
        text = (
            f'The raw copy is ready: {wording.size(bytes_used)} used, made '
            f'in {progress.duration(seconds)}'
        )
        if part.resumed_at:
            result['resumed_at_percent'] = int(100 * part.resumed_at)
            text += f', resumed at {part.resumed_at:.0%}'
        # The copy is there, and maybe cloned: an error here undoes nothing.
        insist(
            self.job,
            lambda: self.job.catalog.succeed_task(task_id, result, f'{text}.'),
        )
        outcome.made(self.job, task_id, result, part.resumed_at)
