# SPDX-License-Identifier: Apache-2.0
import pytest
from keystoneauth1 import exceptions as auth_exceptions
from openstack import exceptions

from glance_rawstoreclient import copies
from glance_rawstoreclient import waiting
from glance_rawstoreclient.copies import Outcome
from glance_rawstoreclient.images import Images
from tests.fakes.image_proxy import ImageProxy


class Clock:
    """Time that passes only in sleep, during which the cloud works."""

    def __init__(self):
        self.seconds = 0.0
        self.slept = []
        self.works = []

    def now(self):
        return self.seconds

    def sleep(self, seconds):
        self.slept.append(seconds)
        self.seconds += seconds
        if self.works:
            self.works.pop(0)()


class Told:
    def __init__(self):
        self.updates = []
        self.troubles = []
        self.ended = {}

    def update(self, copy, words):
        self.updates.append((copy.image_id, copy.progress))

    def trouble(self, copy, error):
        self.troubles.append(copy.image_id)

    def end(self, copy, outcome, words):
        assert copy.image_id not in self.ended
        self.ended[copy.image_id] = words


@pytest.fixture
def proxy():
    return ImageProxy()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def told():
    return Told()


@pytest.fixture
def follow(proxy, clock, told):
    def follow(*image_ids, timeout=60.0):
        wanted = [copies.of(proxy.find_image(i)) for i in image_ids]
        return waiting.follow(
            Images(proxy), wanted, timeout, told, clock.sleep, clock.now
        )

    return follow


def put(proxy, image_id, **properties):
    return lambda: proxy.bodies[image_id].update(properties)


def test_what_is_ready_is_not_waited_for(proxy, clock, follow):
    proxy.add('a', raw_cache_status='active')

    assert follow('a') == {'a': Outcome.READY}
    assert clock.slept == []


def test_each_copy_is_followed_to_its_own_end(proxy, clock, told, follow):
    proxy.add('a', raw_cache_status='pending', raw_cache_progress='0')
    proxy.add('b', raw_cache_status='pending', raw_cache_progress='0')
    clock.works = [
        put(proxy, 'a', raw_cache_progress='50'),
        put(proxy, 'b', raw_cache_status='error'),
        put(proxy, 'a', raw_cache_status='active'),
    ]

    assert follow('a', 'b') == {'b': Outcome.FAILED, 'a': Outcome.READY}
    assert ('a', 50) in told.updates
    assert set(told.ended) == {'a', 'b'}


def test_an_error_is_told_with_what_its_conversion_said(proxy, told, follow):
    proxy.add('a', raw_cache_status='error')
    proxy.tasks['a'] = [
        {
            'input': {'import_req': {'method': {'name': 'raw-cache'}}},
            'message': 'The pool for raw copies is full.',
            'created_at': '2026-01-01T00:00:00Z',
        }
    ]

    follow('a')

    assert told.ended['a'].endswith('The pool for raw copies is full.')


def test_an_image_that_is_deleted_is_waited_for_no_longer(
    proxy, clock, told, follow
):
    proxy.add('a', raw_cache_status='pending')
    clock.works = [lambda: proxy.bodies.clear()]

    assert follow('a') == {'a': Outcome.FAILED}
    assert told.ended['a'] == 'the image was deleted'


def test_waiting_ends_in_time_and_says_so(proxy, clock, told, follow):
    proxy.add('a', raw_cache_status='pending')
    proxy.add('b', raw_cache_status='pending')

    assert set(follow('a', 'b', timeout=30.0).values()) == {Outcome.WAITING}
    assert clock.seconds == pytest.approx(30.0)
    assert told.ended['a'] == 'not ready after 30 s'


def test_looks_become_rarer_up_to_a_bound(proxy, clock, follow):
    proxy.add('a', raw_cache_status='pending')

    follow('a', timeout=600.0)

    assert clock.slept[0] == waiting.FIRST
    assert clock.slept[:-1] == sorted(clock.slept[:-1])
    assert max(clock.slept) == waiting.LONGEST


@pytest.mark.parametrize(
    'error',
    [
        auth_exceptions.ConnectFailure('refused'),
        exceptions.HttpException('unavailable', http_status=503),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_outage_is_waited_out(proxy, clock, told, follow, error):
    proxy.add('a', raw_cache_status='pending')

    def away(_image_id):
        raise error

    def back():
        proxy.before_get = lambda _image_id: None
        proxy.bodies['a']['raw_cache_status'] = 'active'

    proxy.before_get = away
    clock.works = [lambda: None, back]

    assert follow('a') == {'a': Outcome.READY}
    assert told.troubles == ['a', 'a']


def test_a_refusal_is_not_waited_out(proxy, follow):
    proxy.add('a', raw_cache_status='pending')

    def forbidden(_image_id):
        raise exceptions.ForbiddenException('no', http_status=403)

    proxy.before_get = forbidden

    with pytest.raises(exceptions.ForbiddenException):
        follow('a')
