# SPDX-License-Identifier: Apache-2.0
"""The first steps: the image is there, is it for us, and may we begin?"""

import logging
import time
from typing import Any

from taskflow.types import failure

from glance_rawstore import cluster_slots
from glance_rawstore import exceptions
from glance_rawstore import formats
from glance_rawstore import handover
from glance_rawstore import orders
from glance_rawstore import periodic
from glance_rawstore import slots
from glance_rawstore import wishes
from glance_rawstore.catalog import Image
from glance_rawstore.tasks import outcome
from glance_rawstore.tasks import progress
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.insisting import insist
from glance_rawstore.tasks.step import Step
from glance_rawstore.tasks.step import give_up_head_start
from glance_rawstore.tasks.step import reason

LOG = logging.getLogger(__name__)


class WaitUntilStored(Step):
    """Wait until every store has the data; provides the image as it is then.

    The import is in its last steps, and may still fail.
    """

    default_provides = 'image'

    def execute(self) -> Image:
        """Wait.

        :raises Cancelled: the import failed, or the image is gone
        """
        return self.await_import(
            lambda image: image.import_task is None or not image.being_stored
        )


class OpenTask(Step):
    """Create the Glance task by which the tenant follows the copy."""

    default_provides = 'task_id'

    def execute(self, image: Image) -> str:
        """Create it as pending, or go on with that of a dead worker."""
        if self.job.task_id is not None:
            self.job.catalog.report(
                self.job.task_id, 'Going on with the raw copy.'
            )
            return self.job.task_id
        return self.job.catalog.create_task(
            image,
            self.job.store.name,
            self.job.requester,
            'Waiting to make a raw copy.',
        )

    def revert(
        self,
        result: Any,
        image: Image,
        flow_failures: dict[str, failure.Failure],
        **_kwargs: Any,
    ) -> None:
        """End the task: everything else has been undone by now."""
        if isinstance(result, failure.Failure):
            return
        why = reason(flow_failures)
        give_up_head_start(self.job)
        try:
            # What an import saves last makes it another version.
            image = self.await_end_of_import(image)
        except exceptions.ImageDeleted as exc:
            why = exc  # Glance takes the data away before it says so
        except exceptions.Cancelled as exc:
            LOG.debug('Image %s: %s', image.image_id, exc)
        trying.made_none(self.job, image, why)
        if self.job.hands_over(why):
            insist(self.job, lambda: self._hand_over(result))
        elif not self._is_of_another(why):
            insist(self.job, lambda: self._close(result, why))
        outcome.ended(self.job, result, why)

    def _hand_over(self, task_id: str) -> None:
        # Said before, so that nothing of the other's is overwritten; it may
        # go on though the database is away and this is not said.
        text = 'Waiting for another worker to go on.'
        periodic.attempt(lambda: self.job.catalog.report(task_id, text))
        handover.offer(self.job.raw_pool.ioctx, self.job.image_id, task_id)

    def _is_of_another(self, why: Exception) -> bool:
        """Whether who has the copy now has the task as well."""
        if isinstance(why, exceptions.LeaseHeld):
            return self.job.task_id is not None
        return isinstance(why, exceptions.LeaseLost)

    def _close(self, task_id: str, why: Exception) -> None:
        catalog = self.job.catalog
        if isinstance(why, exceptions.NothingToDo | exceptions.LeaseHeld):
            catalog.succeed_task(
                task_id, {'image_id': self.job.image_id}, str(why)
            )
        elif isinstance(why, exceptions.RawStoreError):
            catalog.fail_task(task_id, str(why))
        else:
            catalog.fail_task(
                task_id,
                'The raw copy failed for an internal reason. The image '
                'itself is not affected.',
            )


class CheckWanted(Step):
    """Read the image's properties and formats, before anything is made."""

    default_provides = 'weight'

    def execute(self, image: Image) -> int:
        """Return the weight for the location.

        :raises NothingToDo: not wanted any more, or raw already
        :raises Refused: a bad property or format
        """
        enabled = self.job.options.by_default
        default = wishes.by_default(
            enabled, image.disk_format, image.container_format
        )
        if not wishes.wanted(image.properties, default):
            self._check_order(image)
        weight = wishes.weight(image.properties, self.job.options.weight)
        if image.disk_format in formats.ALREADY_RAW:
            raise exceptions.NothingToDo(
                f'A {image.disk_format} image needs no raw copy.'
            )
        formats.check_formats(image.disk_format, image.container_format)
        return weight

    def _check_order(self, image: Image) -> None:
        """What an operator has ordered needs no wish, only no objection."""
        ordered = orders.read(self.job.raw_pool.ioctx, image.image_id)
        if ordered is None or wishes.PROPERTY in image.properties:
            raise exceptions.NothingToDo('No raw copy is wanted any more.')
        self.job.by_wish = False


class TakeSlot(Step):
    """Wait for one of the conversions that may run at once.

    On this node, and in the cluster.
    """

    default_provides = 'started'

    def execute(self, image: Image, task_id: str) -> float:
        """Take it until the job ends, and say that the work begins.

        :returns: when it began, in seconds of the monotonic clock
        """
        started = time.monotonic()
        if self.job.head_start is not None:  # which has had one all along
            started = self.job.head_start.started
        else:
            self._take(task_id, image.owner or '')
            started = time.monotonic()
        self.job.catalog.begin_task(task_id, 'Preparing the raw copy.')
        return started

    def _take(self, task_id: str, project: str) -> None:
        """Take one of the node, then one of the cluster, never otherwise."""
        job, options = self.job, self.job.options
        turn = progress.Turn('Waiting for other conversions to end')
        wait = self.waiting(task_id, turn, turn.interval)
        if job.slot is None:
            job.slot = job.resources.enter_context(
                slots.slot(
                    options.scratch_dir,
                    options.max_conversions,
                    wait,
                    project,
                    turn.update,
                )
            )
        of_cluster = cluster_slots.limited(job.raw_pool.ioctx, options)
        if of_cluster is not None:
            job.resources.enter_context(
                of_cluster.slot(wait, project, turn.update)
            )
