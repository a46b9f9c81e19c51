# SPDX-License-Identifier: Apache-2.0
"""The slots of a conversion that begins at once."""

import dataclasses

import pytest

from glance_rawstore import lease
from glance_rawstore import slots
from glance_rawstore.tasks.both_slots import BothSlots


def test_that_of_the_node_is_given_back_though_that_of_the_cluster_is_not(
    work, monkeypatch
):
    scratch = str(work.scratch)
    job = dataclasses.replace(
        work.job(), options=dataclasses.replace(work.options, max_cluster=1)
    )
    release = lease.Shared.release

    def broken(held):
        release(held)  # ends its thread
        raise RuntimeError('the connection is closed')

    with job.resources:
        both = BothSlots(slots.at_once(scratch, 1))
        both.take(job, 'project')
        monkeypatch.setattr(lease.Shared, 'release', broken)

        with pytest.raises(RuntimeError):
            both.give_back()

    free = slots.at_once(scratch, 1)
    assert free is not None
    free.close()
    both.give_back()
