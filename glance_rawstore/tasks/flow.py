# SPDX-License-Identifier: Apache-2.0
"""The conversion as a graph: names and edges, no work."""

import contextlib
import logging

from taskflow import engines
from taskflow.patterns import linear_flow

from glance_rawstore import exceptions
from glance_rawstore import tracing
from glance_rawstore.tasks import converting
from glance_rawstore.tasks import early
from glance_rawstore.tasks import preparing
from glance_rawstore.tasks import publishing
from glance_rawstore.tasks import trying
from glance_rawstore.tasks.job import Job

LOG = logging.getLogger(__name__)

STEPS = (
    early.ConvertStaged,
    preparing.WaitUntilStored,
    preparing.OpenTask,
    preparing.CheckWanted,
    early.CompareStored,
    preparing.TakeSlot,
    converting.Reserve,
    trying.CountAttempt,
    converting.Inspect,
    converting.Measure,
    publishing.WaitUntilImported,
    publishing.ReserveLocation,
    converting.Convert,
    converting.Commit,
    publishing.Publish,
    publishing.CloseTask,
)


def conversion(job: Job) -> linear_flow.Flow:
    """The flow of one conversion."""
    flow = linear_flow.Flow(f'raw-copy-{job.image_id}')
    return flow.add(*(step(job) for step in STEPS))


def run(job: Job) -> None:
    """Run a conversion to its end; logs its outcome and raises nothing."""
    with tracing.logged_as(job.requester.request_id):
        _run(job)


def _run(job: Job) -> None:
    try:
        with contextlib.ExitStack() as resources:
            job.resources = resources
            if job.head_start is not None:
                resources.callback(job.head_start.stop)
            engines.run(conversion(job), engine='serial')
    except (exceptions.NothingToDo, exceptions.LeaseHeld) as exc:
        LOG.info('No raw copy of image %s: %s', job.image_id, exc)
    except exceptions.Cancelled as exc:
        LOG.info('Raw copy of image %s given up: %s', job.image_id, exc)
    except exceptions.LeaseLost:
        LOG.warning(
            'Raw copy of image %s left to another worker: this one did not '
            'renew its lease within lease_duration',
            job.image_id,
        )
    except exceptions.RawStoreError as exc:
        LOG.warning(
            'Raw copy of image %s failed: %s', job.image_id, exc.in_full
        )
    except Exception:
        LOG.exception('Raw copy of image %s failed', job.image_id)
    else:
        LOG.info('Raw copy of image %s is active', job.image_id)
