# SPDX-License-Identifier: Apache-2.0
"""Keep to what consumers were shown, by whichever worker.

Reads and writes what :mod:`glance_rawstore.lifecycle.shown` decides on.
"""

import dataclasses
import threading
from collections.abc import Callable, Sequence

from glance_rawstore import downloads
from glance_rawstore.catalog import Image
from glance_rawstore.lifecycle import shown
from glance_rawstore.lifecycle.shown import Answer
from glance_rawstore.lifecycle.shown import Gone
from glance_rawstore.lifecycle.shown import Kind
from glance_rawstore.lifecycle.shown import Note
from glance_rawstore.lifecycle.shown import Stand
from glance_rawstore.raw_view.ahead import Ahead
from glance_rawstore.raw_view.callers import Consumer
from glance_rawstore.raw_view.facts import Facts
from glance_rawstore.raw_view.facts import Seen
from glance_rawstore.raw_view.notes import Begun
from glance_rawstore.raw_view.notes import Written
from glance_rawstore.raw_view.representation import Copy

#: Seconds from when Ceph is away until services are given originals again
#: that they may have been shown copies of: a multiple of the time in which
#: workers that are asked notice.
OUTAGE = 30.0
#: How often it is decided anew, as somebody else has noted something.
TRIES = 5
#: Consumers that are remembered to have been noted; some 300 bytes each.
REMEMBERED = 10_000


@dataclasses.dataclass(frozen=True)
class Why:
    """Why an image has no active copy.

    :param evicted: names of the stores in which it had to make room
    :param gone: the last one that has gone, if that is known still
    """

    evicted: Sequence[str] = ()
    gone: Gone | None = None


class Promises:
    """Decides for one image and consumer at a time.

    :param facts: of images and copies
    :param chosen: the copies that a service may be shown of those of an image
    """

    def __init__(
        self, facts: Facts, chosen: Callable[[Sequence[Copy]], list[Copy]]
    ) -> None:
        self._facts = facts
        self._chosen = chosen
        self._lock = threading.Lock()
        # Who was noted to be shown which copy: that is so until it goes.
        self._noted: dict[tuple[str, str], float] = {}

    def begin(self, image_id: str, consumer: Consumer, ahead: Ahead) -> None:
        """Begin to read what :meth:`show` will need of the notes, if it will.

        That is so of a copy that this worker has seen. Nothing is written
        ahead: what is noted counts, though Glance refuse the consumer then,
        or Ceph fail, or this worker be killed.

        :param ahead: is given what has begun
        """
        age = self._facts.age(image_id) if consumer.name else None
        if age is None:
            return
        stand = Stand(age)
        if stand.certain:
            needed = not _old(stand, consumer)
        else:
            needed = (image_id, consumer.name) not in self._noted
        if needed:
            ahead.note = self._facts.notes.begin(image_id, consumer.name)

    def show(
        self, image_id: str, seen: Seen, consumer: Consumer, ahead: Ahead
    ) -> tuple[Answer, Why]:
        """Decide on what a consumer is shown that asks for an image.

        :param seen: of an image of which there may be a copy
        :param ahead: what has begun
        :returns: NEITHER where nobody knows what is noted of it now
        """
        raw = self._chosen(seen.copies)
        if raw:
            return self._show_copy(image_id, raw, consumer, ahead), Why()
        if seen.away is not None:
            return Answer.ORIGINAL, Why()
        why = self._why(image_id) or Why()
        if why.gone is not None and consumer.name:
            # Where it cannot be noted, it is not given the bytes.
            self._promise(image_id, Stand(None, why.gone), consumer)
        return Answer.ORIGINAL, why

    def _show_copy(
        self,
        image_id: str,
        raw: Sequence[Copy],
        consumer: Consumer,
        ahead: Ahead,
    ) -> Answer:
        stand = Stand(_age(raw))
        key = image_id, consumer.name
        if not consumer.name or (stand.certain and _old(stand, consumer)):
            return shown.show(stand, None, bool(consumer.name))[0]
        if not stand.certain and self._noted.get(key) == raw[0].committed:
            return Answer.RAW
        begun = ahead.noted(image_id)
        answer = self._promise(image_id, stand, consumer, begun)
        if answer is Answer.RAW and not stand.certain:
            with self._lock:
                if len(self._noted) >= REMEMBERED:
                    self._noted.clear()
                self._noted[key] = raw[0].committed
        return answer

    def _promise(
        self,
        image_id: str,
        stand: Stand,
        consumer: Consumer,
        begun: Begun | None = None,
    ) -> Answer:
        """Decide by what is noted of a consumer, and note it in its place.

        :param begun: to read it, if it has
        """
        notes, name = self._facts.notes, consumer.name
        for _ in range(TRIES):
            found = notes.noted(image_id, name, begun)
            if found is None:
                return Answer.ORIGINAL  # Ceph is away since
            answer, wanted = shown.show(stand, found.note)
            if wanted is None:
                return answer
            written = notes.note(image_id, name, wanted, found)
            if written is Written.DONE:
                return answer
            if written is Written.FULL:
                return Answer.ORIGINAL
            if written is Written.UNKNOWN:
                break
            begun = None
        # It may be noted yet, and be given raw bytes by another worker.
        return Answer.NEITHER

    def give(
        self, image_id: str, seen: Seen, consumer: Consumer
    ) -> tuple[Answer, Why]:
        """Decide on what a consumer is given that asks for the bytes.

        :param seen: of an image of which there may be a copy
        """
        raw = self._chosen(seen.copies)
        if not raw and seen.away is not None:
            lately = seen.away < OUTAGE
            return Answer.NEITHER if lately else Answer.ORIGINAL, Why()
        stand = Stand(_age(raw) if raw else None)
        if stand.settled and _old(stand, consumer):
            return shown.give(stand, None), Why()
        found: downloads.Noted | None = downloads.Noted()
        if consumer.name:
            found = self._facts.notes.noted(image_id, consumer.name)
        why = Why() if stand.settled else self._why(image_id)
        if found is None or why is None:
            return Answer.NEITHER, Why()  # Ceph is away since
        stand = dataclasses.replace(stand, gone=why.gone)
        return shown.give(stand, found.note), why

    def given_original(
        self, image: Image, seen: Seen, consumer: Consumer
    ) -> None:
        """Note that a consumer begins to download an image's original.

        Of one that has a copy, or shall have one: of others none comes
        meanwhile.
        """
        if consumer.request_id and (seen.copies or self._facts.wanted(image)):
            note = Note(Kind.DOWNLOADS)
            self._facts.notes.note(image.image_id, consumer.name, note)

    def _why(self, image_id: str) -> Why | None:
        """Why there is no copy; None when Ceph does not answer."""
        found = self._facts.why(image_id)
        if found is None:
            return None
        evictions, traces = found
        return Why(evictions, min(traces, key=lambda g: g.age, default=None))


def _old(stand: Stand, consumer: Consumer) -> bool:
    """Whether a consumer cannot be downloading what was before a copy.

    Of those that are known by their tokens alone no downloads are noted.
    """
    return not consumer.request_id or (stand.active or 0.0) > shown.KEPT


def _age(raw: Sequence[Copy]) -> float:
    """For how long there has been an active copy of an image, in seconds."""
    return max(copy.age for copy in raw)
