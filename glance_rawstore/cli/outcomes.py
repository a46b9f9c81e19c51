# SPDX-License-Identifier: Apache-2.0
"""What became of each of several images, told as it goes and summed up."""

import collections
import dataclasses
import logging
from collections.abc import Callable, Iterable
from typing import Any

from glance_rawstore import exceptions
from glance_rawstore import wording
from glance_rawstore.cli import choosing
from glance_rawstore.cli import exit_status
from glance_rawstore.cli import output

LOG = logging.getLogger(__name__)

_FAILED = 'failed'
_WIDTH = 16


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of one image.

    :param what: one or two words, the same for all that it became of
    :param why: a sentence, or empty
    :param facts: for programs; the names carry the units
    :param status: how a command about it alone would end
    """

    image_id: str
    what: str
    why: str = ''
    facts: dict[str, Any] = dataclasses.field(default_factory=dict)
    status: int = exit_status.DONE

    def as_dict(self) -> dict[str, Any]:
        """For a program."""
        return {
            'image_id': self.image_id,
            'outcome': self.what,
            'reason': self.why,
            **self.facts,
        }


def failed(image_id: str, exc: exceptions.RawStoreError) -> Outcome:
    """What an error makes of one image."""
    what = 'not found' if isinstance(exc, exceptions.NotFound) else _FAILED
    return Outcome(image_id, what, exc.in_full, status=exc.exit_code)


class Outcomes:
    """The outcomes of one command.

    :param form: text or json
    """

    def __init__(self, form: str) -> None:
        self._form = form
        self._told: list[Outcome] = []

    def tell(self, outcome: Outcome) -> None:
        """Tell one, at once; a program gets all of them at the end."""
        self._told.append(outcome)
        if self._form == 'text':
            what, why = f'{outcome.what:<{_WIDTH}}', outcome.why
            name = wording.printable(outcome.image_id)
            print(f'{what}  {name}  {why}'.rstrip(), flush=True)

    def each(
        self, image_ids: Iterable[str], do: Callable[[str], Outcome]
    ) -> None:
        """Do something to each, and tell; an error keeps not the others."""
        for image_id in image_ids:
            self.tell(attempt(image_id, do))

    def end(self) -> int:
        """Sum up; returns the exit status."""
        if self._form == 'json':
            output.print_json([each.as_dict() for each in self._told])
        elif len(self._told) != 1:
            print(self._sum() or 'nothing to do')
        return exit_status.worst({each.status for each in self._told})

    def _sum(self) -> str:
        count = collections.Counter(each.what for each in self._told)
        return ', '.join(f'{n} {what}' for what, n in count.items())


def attempt(image_id: str, do: Callable[[str], Outcome]) -> Outcome:
    """Do something to an image; what is raised is its outcome."""
    try:
        return do(choosing.check_id(image_id))
    except exceptions.RawStoreError as exc:
        return failed(image_id, exc)
    except Exception as exc:
        LOG.debug('Image %s', image_id, exc_info=True)
        return Outcome(
            image_id,
            _FAILED,
            f'{type(exc).__name__}: {exc}',
            status=exit_status.FAILED,
        )
