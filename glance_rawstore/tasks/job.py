# SPDX-License-Identifier: Apache-2.0
"""One conversion to be: what it is about and what it holds while it runs."""

import contextlib
import dataclasses
import logging
import threading
import time
from typing import TYPE_CHECKING

from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import raw_pool
from glance_rawstore import stores
from glance_rawstore import tickets
from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import Image
from glance_rawstore.catalog import Requester
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.options import Options

if TYPE_CHECKING:
    from glance_rawstore.part import Part
    from glance_rawstore.tasks.head_start import HeadStart

LOG = logging.getLogger(__name__)

#: Seconds between two looks at whether the image is still there: at least so
#: many, and as many waits. Each takes 2 ms of a core.
_LOOK = 1.0
_WAITS = 4


@dataclasses.dataclass
class Job:
    """One conversion.

    :param store: the raw store that gets the copy
    :param all_stores: every configured store, to find the original in
    :param stop: set when the process ends
    :param resources: closed, in reverse order, when the flow has ended
    :param slot: one of the node's, if it is held for it; given back by whom
        has taken it
    :param attempt: what was known of attempts before this one, once it is
        counted
    :param counted: this attempt is counted in Ceph
    :param task_id: the task of a worker that is gone, to be continued
    :param by_wish: the copy is wished for, and goes with the wish
    :param head_start: what is converted of the staged file, until it turns
        out to be of no use
    :param attended: there is an agent to hand over to; None until asked
    :ivar silent: Ceph did not say whether it has shut us out
    :ivar left: what a head start had to leave, as Ceph has shut us out
    """

    image_id: str
    store: stores.Store
    all_stores: dict[str, stores.Store]
    options: Options
    catalog: Catalog
    requester: Requester
    stop: threading.Event
    resources: contextlib.ExitStack
    pool: raw_pool.RawPool | None = None
    slot: tickets.Slot | None = None
    attempt: Attempts | None = None
    counted: bool = False
    task_id: str | None = None
    by_wish: bool = True
    head_start: 'HeadStart | None' = None
    attended: bool | None = None
    looked_at: float = dataclasses.field(default=float('-inf'), init=False)
    silent: bool = dataclasses.field(default=False, init=False)
    left: 'Part | None' = dataclasses.field(default=None, init=False)

    def wait(self, seconds: float) -> None:
        """Sleep, unless the job shall stop.

        Looks at the image now and then, however often it is called.

        :raises Interrupted: the process ends
        :raises ImageDeleted: the image is gone
        """
        if self.stop.wait(seconds):
            raise exceptions.Interrupted()
        if time.monotonic() - self.looked_at < max(_LOOK, _WAITS * seconds):
            return
        self.looked_at = time.monotonic()
        self.look()

    def look(self) -> Image | None:
        """The image; None while the database does not answer.

        :raises ImageDeleted: it is gone
        """
        try:
            image = self.catalog.image(self.image_id)
        except Exception as exc:
            LOG.warning('Image %s cannot be seen: %s', self.image_id, exc)
            return None
        if image is None:
            raise exceptions.ImageDeleted()
        return image

    def deleted(self) -> Exception | None:
        """A reason to stop, once the image is gone. Not knowing is none."""
        try:
            self.look()
        except exceptions.ImageDeleted as exc:
            return exc
        return None

    def hands_over(self, why: Exception) -> bool:
        """Whether somebody goes on with what is left as it is.

        Where no agent is, nobody would: then all is undone.

        :param why: the job ends
        """
        if not isinstance(why, exceptions.Interrupted):
            return False
        if self.attended is None:
            try:
                self.attended = handover.attended(self.raw_pool.ioctx)
            except exceptions.RawStoreError:
                self.attended = False
        return self.attended

    def renew(self) -> None:
        """Have the raw pool connected anew, if Ceph has shut us out of it.

        Who has it already, a ``.part`` above all, stays shut out. A process
        that ends asks no more once there was no answer: each may take long.
        """
        if self.pool is None or (self.silent and self.stop.is_set()):
            return
        shut_out = self.pool.shut_out()
        self.silent = shut_out is None
        if shut_out:
            LOG.warning(
                'Image %s: its raw copy is not made over %s any more: %s',
                self.image_id,
                self.pool.address,
                exceptions.Blocklisted.advice,
            )
            self.pool = None

    @property
    def raw_pool(self) -> raw_pool.RawPool:
        """The raw pool; connected at the first use, until the job ends.

        Or until it is to be renewed.
        """
        if self.pool is None:
            self.pool = self.resources.enter_context(
                raw_pool.RawPool.open(self.store.rbd)
            )
        return self.pool
