# SPDX-License-Identifier: Apache-2.0
"""Who is at work on an image's copy, and whose work is left. Core: pure."""

from glance_rawstore.agent.facts import Facts
from glance_rawstore.agent.facts import Task

#: Seconds for which a pending task keeps others from converting. Its worker
#: may wait for hours for a free slot, while another node has one.
QUEUED = 30.0
#: Seconds without a message after which a task's worker is taken for dead.
#: A living one tells something every 10 s at least, 30 s where hundreds wait.
ORPHANED = 60.0


def resumable(facts: Facts) -> bool:
    """Whether there is a ``.part`` to go on with, whose worker is gone."""
    part = facts.part
    return part is not None and part.resumable and not part.leased


def is_left(facts: Facts, task: Task) -> bool:
    """Whether the worker of an open task has left it.

    It says so, or is not heard of any more; or it has lost its lease.
    """
    if task.idle > ORPHANED or task.task_id == facts.handed_over:
        return True
    return resumable(facts) and task.status == 'processing'


def continued(facts: Facts) -> Task | None:
    """The open task that goes on, when a worker goes on with the copy."""
    handed_over = facts.handed_over
    left = [
        task
        for task in facts.tasks
        if task.task_id == handed_over
        or (resumable(facts) and is_left(facts, task))
    ]
    left.sort(key=lambda t: (t.task_id != handed_over, -t.idle))
    return left[0] if left else None


def another_is_at_it(facts: Facts) -> bool:
    """Whether there is an open task whose worker is to be left to it."""
    return any(
        task.status != 'pending' or task.age < QUEUED
        for task in facts.tasks
        if not is_left(facts, task)
    )
