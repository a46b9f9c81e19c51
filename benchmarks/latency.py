# SPDX-License-Identifier: Apache-2.0
"""How long Glance takes to answer, with the raw view and without it.

Two pipelines of one API take turns, request by request, with the same
tokens; which comes first changes from turn to turn.

Half of the copies have just become active. For their first minutes it is noted
in Ceph who is shown them, before he is; and each request of a service is one
for a server of its own, hence a first look. The others are an hour old: of
them a service may still be downloading the original, which is looked up.

Beside the time by the clock there is that of the API's own threads: what the
filter, and Ceph's client as far as it is called, take of a core. The rest of
the difference is what Ceph's daemons, and its client's own threads, take of
the cores that they share with the API here.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

from benchmarks import bed
from benchmarks import population
from benchmarks import processes
from benchmarks.client import Client
from benchmarks.pipelines import PLAIN
from benchmarks.pipelines import TwoPipelines
from tests.cloud import Cloud
from tests.processes import ProcessError

#: Who asks; the service acts for the tenant.
TENANT, SERVICE = 'tenant', 'service'
#: What is asked for: images with a copy of either age, and all.
YOUNG, SETTLED = 'GET image, young copy', 'GET image, settled'
LIST = f'GET {population.IMAGES} images'
#: The same where it is the first time that the API is asked for this copy,
#: and by whom; this is also what loads code and fills caches.
FIRST = {
    f'{YOUNG}, first': (YOUNG, SERVICE),
    f'{SETTLED}, first': (SETTLED, TENANT),
}

#: What the threads of the API are called that answer requests.
THREADS = 'uwsgi'

#: Requests of each kind to each pipeline, of which the median counts; parts
#: of them that are compared by themselves; and requests before all of them.
REQUESTS = {YOUNG: 300, SETTLED: 300, LIST: 15}
ROUNDS = 5
WARM_UP = {YOUNG: 20, SETTLED: 20, LIST: 2}

#: How old the settled copies are, in seconds.
HOUR = 3600.0

# Glance's defaults, which tell nobody of locations.
_OPTIONS = {
    'DEFAULT': {
        'debug': False,
        'show_image_direct_url': False,
        'show_multiple_locations': False,
    }
}


@dataclasses.dataclass(frozen=True)
class Latency:
    """How long one kind of request took, in seconds, in their order.

    :param what: is asked for
    :param who: asks
    :param without: the filter
    :param usual: of what is asked every day
    """

    what: str
    who: str
    with_filter: tuple[float, ...]
    without: tuple[float, ...]
    usual: bool = True

    @property
    def ratio(self) -> float:
        """Of the medians."""
        return _ratio(self.with_filter, self.without)

    @property
    def rounds(self) -> list[float]:
        """The same for each part of the requests, in their order."""
        size = len(self.without) // ROUNDS
        return [
            _ratio(*(part[start : start + size] for part in self._both))
            for start in range(0, size * ROUNDS, size)
        ]

    @property
    def _both(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        return self.with_filter, self.without


def _ratio(above: tuple[float, ...], below: tuple[float, ...]) -> float:
    return statistics.median(above) / statistics.median(below)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What one request got, and what that took.

    :param seconds: by the clock
    :param cpu: of the API's own threads, in seconds of a core
    """

    seconds: float
    cpu: float
    body: bytes


def measure(stage: bed.Bed, say: Callable[[str], None]) -> list[Latency]:
    """Start a Glance, fill its database, ask both pipelines.

    :param say: is told what is done
    """
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(
            TwoPipelines(
                stage.cluster,
                _OPTIONS,
                prefix='view_',
                region='view',
                keystone=stage.keystone,
                processes=1,
            )
        )
        session = cloud.keystone.session('alice')
        say(f'making {population.IMAGES} images for the raw view')
        copied = population.make(cloud, session.get_project_id())
        half = len(copied) // 2
        population.date(cloud, copied[half:], time.time() - HOUR)
        ids = {YOUNG: copied[:half], SETTLED: copied[half:], LIST: []}
        say('requests, with the raw view and without it')
        return list(_rows(cloud, ids))


def _rows(cloud: Cloud, ids: Mapping[str, list[str]]) -> Iterator[Latency]:
    for name, (what, who) in FIRST.items():
        pairs = _Pairs(what, who, cloud, ids[what])
        by_clock, _ = pairs.timed(len(ids[what]))
        yield dataclasses.replace(by_clock, what=name, usual=False)
    for what, who in itertools.product(REQUESTS, (TENANT, SERVICE)):
        pairs = _Pairs(what, who, cloud, ids[what])
        pairs.check(WARM_UP[what])
        yield from pairs.timed(REQUESTS[what])


class _Pairs:
    """The same request to both pipelines, again and again.

    :param ids: of the images to ask for, one after another; of all if empty
    """

    def __init__(
        self, what: str, who: str, cloud: Cloud, ids: list[str]
    ) -> None:
        self._what, self._who = what, who
        headers = _tokens(cloud, who)
        self._clients = [
            Client(cloud.port, headers, root) for root in ('', PLAIN)
        ]
        self._pids = cloud.api_pids()
        every = f'/v2/images?limit={population.IMAGES}'
        paths = [f'/v2/images/{image_id}' for image_id in ids] or [every]
        self._paths = itertools.cycle(paths)

    def _get(self, path: str, first: int) -> list[Answer]:
        """Ask both; return their answers in the order of the pipelines."""
        # as Nova has it, one for each server
        server = {'X-OpenStack-Request-ID': f'req-{uuid.uuid4()}'}
        more = server if self._who == SERVICE else {}
        found = {
            index: self._answer(index, path, more)
            for index in (first, 1 - first)
        }
        return [found[0], found[1]]

    def _answer(
        self, index: int, path: str, more: Mapping[str, str]
    ) -> Answer:
        before = self._cpu()
        seconds, body = self._clients[index].get(path, more)
        return Answer(seconds, self._cpu() - before, body)

    def _cpu(self) -> float:
        return sum(
            processes.cpu_of_threads(pid, THREADS) for pid in self._pids
        )

    def check(self, number: int) -> None:
        """Ask so often, and make sure that the answers are what they must.

        :raises ProcessError: they are not
        """
        for _ in range(number):
            answers = self._get(next(self._paths), 0)
            _check(self._what, self._who, *(found.body for found in answers))

    def timed(self, number: int) -> tuple[Latency, Latency]:
        """Ask so often; return the times by the clock, and of a core."""
        answers = [
            self._get(next(self._paths), 1 - turn % 2)
            for turn in range(number)
        ]
        with_filter, without = zip(*answers, strict=True)
        by_clock = Latency(
            self._what,
            self._who,
            tuple(answer.seconds for answer in with_filter),
            tuple(answer.seconds for answer in without),
        )
        cpu = Latency(
            f'CPU: {self._what}',
            self._who,
            tuple(answer.cpu for answer in with_filter),
            tuple(answer.cpu for answer in without),
            usual=False,
        )
        return by_clock, cpu


def _tokens(cloud: Cloud, who: str) -> dict[str, str]:
    """The headers of the tenant, or of Nova acting for the tenant."""
    keystone = cloud.keystone
    headers = {'X-Auth-Token': str(keystone.session('alice').get_token())}
    if who == SERVICE:
        token = keystone.session('nova').get_token()
        headers['X-Service-Token'] = str(token)
    return headers


def _check(what: str, who: str, with_filter: bytes, without: bytes) -> None:
    """Make sure that the one answer is the other's raw view.

    :raises ProcessError: it is not, so that timing it would say nothing
    """
    seen = [_images(body) for body in (with_filter, without)]
    copied = population.COPIES if what == LIST else 1
    counted = [
        sum(image['disk_format'] == 'raw' for image in seen[0]),
        sum(image.get('raw_cache_status') == 'active' for image in seen[0]),
    ]
    expected = [copied, 0] if who == SERVICE else [0, copied]
    same = [i['id'] for i in seen[0]] == [i['id'] for i in seen[1]]
    if counted != expected or not same:
        raise ProcessError(
            f'{what} by a {who}: {counted} of {expected} have raw copies'
        )


def _images(body: bytes) -> list[dict[str, str]]:
    found = json.loads(body)
    images: list[dict[str, str]] = found.get('images', [found])
    return images
