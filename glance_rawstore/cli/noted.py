# SPDX-License-Identifier: Apache-2.0
"""What is noted of an image besides its copies: why it has none, mostly."""

import dataclasses
import time
from collections.abc import Iterator, Sequence
from typing import Any

import humanize

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import orders
from glance_rawstore.cli import output
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.attempts import Retry
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.orders import Order


@dataclasses.dataclass(frozen=True)
class Note:
    """Something that is noted.

    :param rows: for people
    :param facts: for a program; the names carry the units
    """

    rows: Sequence[tuple[str, str]]
    facts: dict[str, Any]


def read(
    ioctx: Any, image_id: str, retry: Retry, working: bool
) -> Iterator[Note]:
    """All that is noted of one image.

    :param retry: when to try again
    :param working: whether a living worker makes its copy
    :raises CephUnavailable: the cluster does not answer
    """
    tried = attempts.read(ioctx, image_id)
    # An attempt is noted as failed when it begins, lest it kill its worker.
    if tried is not None and not (working and tried.error == UNFINISHED):
        yield _attempts(image_id, tried, retry)
    gone = evicted.read(ioctx, image_id)
    if gone is not None:
        yield _evicted(image_id, gone)
    ordered = orders.read(ioctx, image_id)
    if ordered is not None:
        yield _ordered(image_id, ordered)


def _ago(at: float) -> str:
    return f'{humanize.naturaldelta(time.time() - at)} ago'


def _note(
    image_id: str,
    status: str,
    at: float,
    rows: Sequence[tuple[str, str]],
    facts: dict[str, Any],
) -> Note:
    same = {'image_id': image_id, 'status': status}
    age = {'age_seconds': round(time.time() - at)}
    return Note([('image', image_id), *rows], {**same, **facts, **age})


def _again(tried: Attempts, retry: Retry) -> str:
    """When there is another attempt, if the image stays as it is."""
    due = retry.after(tried, tried.version)
    if due is None:
        return 'when the image is changed, or by glance-rawstore convert'
    left = due - time.time()
    if left <= 0:
        return 'by the next pass of an agent'
    return f'by an agent, in {humanize.naturaldelta(left)}'


def _attempts(image_id: str, tried: Attempts, retry: Retry) -> Note:
    verdict = 'refused' if tried.refused else 'failed'
    rows = [
        ('last attempt', f'{verdict} {_ago(tried.at)}'),
        ('attempts', str(tried.count)),
        ('error', tried.error),
        ('tried again', _again(tried, retry)),
    ]
    facts = {
        'last_attempt': verdict,
        'attempts': tried.count,
        'error': tried.error,
    }
    return _note(image_id, 'error', tried.at, rows, facts)


def _evicted(image_id: str, gone: Evicted) -> Note:
    rows = [
        ('evicted', f'{_ago(gone.at)}, by {gone.policy}'),
        ('freed', output.size(gone.bytes)),
        ('made again', 'when a consumer asks, or by convert'),
    ]
    facts = {'policy': gone.policy, 'freed_bytes': gone.bytes}
    return _note(image_id, 'evicted', gone.at, rows, facts)


def _ordered(image_id: str, order: Order) -> Note:
    rows = [
        ('ordered', f'{_ago(order.at)}, by an operator'),
        ('request', order.request_id),
    ]
    facts = {'request_id': order.request_id}
    return _note(image_id, 'ordered', order.at, rows, facts)
