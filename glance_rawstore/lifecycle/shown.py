# SPDX-License-Identifier: Apache-2.0
"""What a consumer is given is what it was shown. Core: pure.

A consumer asks for an image first, and for its bytes then: what it was shown,
be it the original or the raw copy, must be what it is given, though the copy
has come or gone since, and another worker answers. While things are as they
have been for long, there is only one thing that it can have been shown.
For :data:`SETTLED` seconds after a change that is not so, and what it was
shown is taken from a *note*:

* when a copy has become active, whoever is shown it is noted; the others were
  shown the original;
* when a copy has gone, whoever is shown the original is noted; the others may
  have been shown the copy, and must look again.

Whoever begins to download the original while a copy may come is noted as
well, and is shown and given nothing else from then on.
"""

import dataclasses
import enum

#: Seconds after which nobody asks for bytes any more who has looked before a
#: change: as long as glanceclient waits for an answer (``HTTPClient.timeout``,
#: python-glanceclient 4), which leaves room for requests that wait in a queue.
SETTLED = 600.0
#: Seconds by which clocks of nodes may differ: notes are taken for so much
#: longer than they are asked for.
SKEW = 60.0
#: Seconds for which notes hold, and traces of copies that have gone.
KEPT = 6 * 3600.0


class Kind(enum.StrEnum):
    """What a consumer is known for."""

    DOWNLOADS = enum.auto()
    ORIGINAL = enum.auto()
    RAW = enum.auto()


@dataclasses.dataclass(frozen=True)
class Note:
    """What one consumer was last shown of one image, as far as it is noted.

    :param gone: the trace of the copy that was seen to have gone when the
        original was shown; empty for other kinds
    """

    kind: Kind
    gone: str = ''


@dataclasses.dataclass(frozen=True)
class Gone:
    """The last copy of an image that has gone, or is about to.

    :param trace: no other has the same
    :param age: seconds since; less than 0 where clocks differ
    """

    trace: str
    age: float

    @property
    def settled(self) -> bool:
        """Whether nobody asks any more who was shown it."""
        return self.age >= SETTLED

    @property
    def certain(self) -> bool:
        """Whether no node takes it for unsettled."""
        return self.age >= SETTLED + SKEW


@dataclasses.dataclass(frozen=True)
class Stand:
    """How an image stands at the moment.

    :param active: for how many seconds its copy has been active; less than 0
        where clocks differ, None if there is none
    :param gone: the last one that has gone, if that is known still
    """

    active: float | None
    gone: Gone | None = None

    @property
    def settled(self) -> bool:
        """Whether nobody asks any more who was shown what was before."""
        return self.active is not None and self.active >= SETTLED

    @property
    def certain(self) -> bool:
        """Whether no node takes the copy for unsettled."""
        return self.active is not None and self.active >= SETTLED + SKEW


class Answer(enum.Enum):
    """Which representation a consumer gets; neither: it must look again."""

    ORIGINAL = enum.auto()
    RAW = enum.auto()
    NEITHER = enum.auto()


def show(
    stand: Stand, note: Note | None, known: bool = True
) -> tuple[Answer, Note | None]:
    """Decide on what a consumer is shown that asks for an image.

    :param note: of this consumer and image
    :param known: whether it can be told from others, so that there can be
        notes of it
    :returns: ORIGINAL or RAW, and what must be noted of the consumer before
        it may be shown RAW
    """
    if note is not None and note.kind is Kind.DOWNLOADS:
        return Answer.ORIGINAL, None
    if stand.active is not None:
        if stand.certain or (stand.settled and not known):
            return Answer.RAW, None
        if not known:
            return Answer.ORIGINAL, None
        return Answer.RAW, _unless(Note(Kind.RAW), note)
    if stand.gone is None or not known:
        return Answer.ORIGINAL, None
    was_raw = note is not None and note.kind is Kind.RAW
    if stand.gone.certain and not was_raw:
        return Answer.ORIGINAL, None
    seen = Note(Kind.ORIGINAL, stand.gone.trace)
    return Answer.ORIGINAL, _unless(seen, note)


def give(stand: Stand, note: Note | None) -> Answer:
    """Decide on what a consumer is given that asks for an image's bytes.

    :param note: of this consumer and image
    """
    if note is not None and note.kind is Kind.DOWNLOADS:
        return Answer.ORIGINAL
    if stand.settled:
        return Answer.RAW
    if note == Note(Kind.RAW):
        return _raw_if(stand)
    if stand.gone is None:
        return Answer.ORIGINAL
    if stand.gone.settled or note == Note(Kind.ORIGINAL, stand.gone.trace):
        return Answer.ORIGINAL
    return Answer.NEITHER


def _raw_if(stand: Stand) -> Answer:
    """For one that was shown a copy when that was young."""
    if stand.active is not None:
        return Answer.RAW
    # Without a trace nothing is known of what it was shown since.
    return Answer.ORIGINAL if stand.gone is None else Answer.NEITHER


def _unless(wanted: Note, note: Note | None) -> Note | None:
    return None if note == wanted else wanted


def encode(note: Note, now: float) -> bytes:
    """As it lies in Ceph: when, in seconds since the epoch, and what.

    :param now: seconds since the epoch
    """
    return f'{now:.0f} {note.kind} {note.gone}'.rstrip().encode()


def decode(data: bytes, now: float) -> Note | None:
    """Read what :func:`encode` wrote; None for what is too old, or other."""
    try:
        at, kind, *gone = data.decode().split()
        if now - float(at) > KEPT:
            return None
        return Note(Kind(kind), *gone[:1])
    except ValueError:
        return None
