# SPDX-License-Identifier: Apache-2.0
"""What Glance and Ceph say of one image: values only, no I/O.

Core; times are in seconds, those of the clock since the epoch.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.raw_copy import RawCopy


@dataclasses.dataclass(frozen=True)
class Image:
    """The image as Glance has it.

    :param importing: Glance's import lock is held
    :param has_data: it has a location besides that of its copy
    :param updated_at: when somebody changed it last
    """

    status: str
    disk_format: str | None
    container_format: str | None
    properties: Mapping[str, str]
    importing: bool = False
    has_data: bool = True
    updated_at: float = 0.0


@dataclasses.dataclass(frozen=True)
class Copy:
    """A committed copy.

    :param by_wish: it was made because it was wished for, and goes with the
        wish; one that an admin made by ``copy-image`` does not
    :param in_use: clones need it; known only where an eviction is noted
    """

    rbd_id: str
    by_wish: bool = True
    in_use: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """A ``.part``.

    :param leased: a living worker has the lease on it
    :param whole: it has its snapshot, hence all of its data
    :param by_wish: as for :class:`Copy`
    :param resumable: another worker can go on with it
    :param untaken: when it was created, in seconds since the epoch, if nobody
        has taken it yet
    """

    rbd_id: str
    leased: bool = False
    whole: bool = False
    by_wish: bool = True
    resumable: bool = False
    untaken: float | None = None


@dataclasses.dataclass(frozen=True)
class Trashed:
    """A copy in the RBD trash.

    :param in_use: clones, or a writer, need it
    """

    rbd_id: str
    in_use: bool = False


@dataclasses.dataclass(frozen=True)
class Task:
    """A task of ours that has not ended.

    :param status: pending or processing
    :param age: seconds since it was created
    :param idle: seconds since its worker was heard of
    """

    task_id: str
    status: str
    age: float
    idle: float


@dataclasses.dataclass(frozen=True)
class Facts:
    """All that is known of one image.

    :param known: Glance has, or had, such an image
    :param image: None when it was deleted
    :param rows: metadata of the locations that name its copy
    :param handed_over: id of the task of a conversion that was handed over;
        empty when a consumer has asked for an evicted copy
    :param evicted: its copy was evicted, and not made again since
    :param asked: when a consumer last asked for an evicted copy
    :param used: there is an entry for it among the uses
    :param ordered: an operator has ordered a copy, whether wished for or not
    :param damaged: None where all was read; else nothing else is known, and
        these are the copies that cannot be opened
    """

    image_id: str
    known: bool = True
    image: Image | None = None
    rows: tuple[Mapping[str, Any], ...] = ()
    copy: Copy | None = None
    part: Part | None = None
    trashed: tuple[Trashed, ...] = ()
    tasks: tuple[Task, ...] = ()
    attempts: Attempts | None = None
    handed_over: str | None = None
    evicted: Evicted | None = None
    asked: float | None = None
    used: bool = False
    ordered: bool = False
    damaged: tuple[RawCopy, ...] | None = None
