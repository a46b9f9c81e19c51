# SPDX-License-Identifier: Apache-2.0
"""How long Glance takes to answer, with the raw view and without it.

Two pipelines of one API take turns, request by request, with the same
tokens; which comes first changes from turn to turn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping

from benchmarks import bed
from benchmarks import population
from benchmarks.pipelines import PLAIN
from benchmarks.pipelines import TwoPipelines
from tests.cloud import Cloud
from tests.processes import ProcessError

#: Who asks; the service acts for the tenant.
TENANT, SERVICE = 'tenant', 'service'
#: What is asked for.
IMAGE, LIST = 'GET image', f'GET {population.IMAGES} images'

#: Requests of each kind to each pipeline, of which the median counts; parts
#: of them that are compared by themselves; and requests before all of them,
#: which load code and fill caches.
REQUESTS = {IMAGE: 300, LIST: 15}
ROUNDS = 5
WARM_UP = {IMAGE: 20, LIST: 2}

#: In seconds, for one answer.
TIMEOUT = 60

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
    """

    what: str
    who: str
    with_filter: tuple[float, ...]
    without: tuple[float, ...]

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


class Client:
    """Asks one of two pipelines, and reads all of the answer.

    :param root: what all paths begin with
    """

    def __init__(
        self, port: int, headers: Mapping[str, str], root: str = ''
    ) -> None:
        self._port = port
        self._headers = dict(headers)
        self._root = root

    def get(self, path: str) -> tuple[float, bytes]:
        """Get something; return how many seconds that took, and what it is.

        :raises ProcessError: it is refused
        """
        connection = http.client.HTTPConnection(
            '127.0.0.1', self._port, timeout=TIMEOUT
        )
        with contextlib.closing(connection):
            start = time.perf_counter()
            connection.request('GET', self._root + path, headers=self._headers)
            response = connection.getresponse()
            body = response.read()
            taken = time.perf_counter() - start
        if response.status != 200:
            raise ProcessError(f'GET {path}: {response.status} {body!r}')
        return taken, body


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
        say('requests, with the raw view and without it')
        return [
            _compare(what, who, cloud, copied)
            for what, who in itertools.product(REQUESTS, (TENANT, SERVICE))
        ]


def _compare(what: str, who: str, cloud: Cloud, copied: list[str]) -> Latency:
    headers = _tokens(cloud, who)
    clients = [Client(cloud.port, headers, root) for root in ('', PLAIN)]
    paths = _paths(what, copied)
    for _ in range(WARM_UP[what]):
        path = next(paths)
        with_filter, without = (client.get(path)[1] for client in clients)
        _check(what, who, with_filter, without)
    seconds: list[list[float]] = [[], []]
    for number in range(REQUESTS[what]):
        path = next(paths)
        for index in (0, 1) if number % 2 else (1, 0):
            seconds[index].append(clients[index].get(path)[0])
    return Latency(what, who, tuple(seconds[0]), tuple(seconds[1]))


def _tokens(cloud: Cloud, who: str) -> dict[str, str]:
    """The headers of the tenant, or of Nova acting for the tenant."""
    keystone = cloud.keystone
    headers = {'X-Auth-Token': str(keystone.session('alice').get_token())}
    if who == SERVICE:
        token = keystone.session('nova').get_token()
        headers['X-Service-Token'] = str(token)
    return headers


def _paths(what: str, copied: list[str]) -> Iterator[str]:
    if what == IMAGE:
        return (
            f'/v2/images/{image_id}' for image_id in itertools.cycle(copied)
        )
    return itertools.repeat(f'/v2/images?limit={population.IMAGES}')


def _check(what: str, who: str, with_filter: bytes, without: bytes) -> None:
    """Make sure that the one answer is the other's raw view.

    :raises ProcessError: it is not, so that timing it would say nothing
    """
    seen = [_images(body) for body in (with_filter, without)]
    copied = 1 if what == IMAGE else population.COPIES
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
