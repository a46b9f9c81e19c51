# SPDX-License-Identifier: Apache-2.0
"""What is looked up of images, and when."""

import dataclasses
import uuid

import pytest

from glance_rawstore import attempts
from glance_rawstore import evicted
from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore.lifecycle.attempts import UNFINISHED
from glance_rawstore.lifecycle.attempts import Attempts
from glance_rawstore.lifecycle.evicted import Evicted
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import facts
from glance_rawstore.raw_view.representation import Wish
from tests.fakes.catalog import FakeCatalog
from tests.unit import configured

TWO = """
    [DEFAULT]
    enabled_backends = ceph:rbd,near:rawrbd,far:rawrbd
    [glance_store]
    default_backend = ceph
    [ceph]
    rbd_store_pool = images
    [near]
    rbd_store_pool = images_raw
    rbd_store_ceph_conf = {conf}
    rbd_store_user = glance
    raw_copy_weight = 5
    raw_copy_node_weights = compute-1:9
    [far]
    rbd_store_pool = images_raw
    rbd_store_ceph_conf = {other}
    rbd_store_user = glance
"""


@pytest.fixture
def known(world, tmp_path):
    """Of two raw stores, of which the second one's cluster is not there."""
    text = TWO.format(conf=world.cluster.conf_file, other='/nowhere')
    return facts.Facts(configured.read(tmp_path, text))


def image(image_id, **properties):
    return {'id': image_id, **properties}


def test_nothing_is_looked_at_before_the_first_question(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, 'read', None)
    monkeypatch.setattr(facts, 'Catalog', None)

    facts.Facts(configured.read(tmp_path))


def test_every_raw_store_is_looked_at(known):
    assert list(known.windows) == ['near', 'far']
    assert known.windows is known.windows


def test_the_copies_are_those_of_each_image(known, world):
    first, second = world.copy()[0], world.begin()[0]
    absent = str(uuid.uuid4())

    found = known.copies([image(i) for i in (first, second, absent)])

    assert [c.status for c in found[first]] == [Status.ACTIVE]
    assert [c.status for c in found[second]] == [Status.PENDING]
    assert found[absent] == []
    assert [c.store for c in found[first]] == ['near']


def test_one_cluster_that_is_away_does_not_hide_the_others(known, world):
    image_id, _ = world.copy()

    for _ in range(2):
        assert len(known.copies([image(image_id)])[image_id]) == 1


def test_images_may_come_one_by_one(known, world):
    image_id, _ = world.copy()

    assert len(known.copies(iter([image(image_id)]))[image_id]) == 1
    assert known.copies([]) == {}


@pytest.mark.parametrize(
    ('properties', 'expected'),
    [
        ({}, 5),
        ({'raw_cache_weight': '-3'}, -3),
        ({'raw_cache_weight': 'much'}, 5),
        ({'raw_cache_weight': None}, 5),
        ({'raw_cache_weight': ['x']}, 5),
        ({'raw_cache_weight': '9' * 5000}, 5),
    ],
)
def test_a_weight_is_the_images_or_the_stores(
    known, world, properties, expected
):
    image_id, _ = world.copy()

    (copy,) = known.copies([image(image_id, **properties)])[image_id]

    assert copy.weight == expected
    assert copy.node_weights == {'compute-1': 9}


def test_only_those_who_ask_are_told_of_the_trash(known, world):
    image_id, rbd_id = world.begin()
    with world.pool.image(f'{image_id}_raw.part'):
        world.pool.discard(image_id, rbd_id)

    assert known.copies([image(image_id)])[image_id] == []
    (copy,) = known.copies([image(image_id)], trash=True)[image_id]
    assert copy.status is Status.PENDING_DELETE


def test_options_that_cannot_be_read_are_told_each_time(tmp_path):
    """And never taken for a Glance without raw stores."""
    text = TWO.format(conf='/x', other='/x').replace('1:9', '1:much')
    known = facts.Facts(configured.read(tmp_path, text))

    for _ in range(2):
        with pytest.raises(exceptions.BadSetup, match='node:number pairs'):
            known.copies([])


FAILED = Attempts(1, False, 'Why.', 0.0, 'v')


def active(image_id, **properties):
    """An image that could have a copy."""
    return image(
        image_id,
        status='active',
        disk_format='qcow2',
        container_format='bare',
        **properties,
    )


@pytest.fixture
def one(world, tmp_path):
    """Of one raw store; takes further options of ours."""

    def make(ours=''):
        conf_file = world.cluster.conf_file
        text = TWO.format(conf=conf_file, other=conf_file)
        text = text.replace(',far:rawrbd', '')
        text += f'    [glance_rawstore]\n    {ours}\n'
        return facts.Facts(configured.read(tmp_path, text))

    return make


@pytest.mark.parametrize(
    ('changed', 'expected'),
    [
        ({'raw_cache': 'true'}, Wish.STANDS),
        ({'raw_cache': 'nonsense'}, Wish.STANDS),
        ({'raw_cache': 'true', 'status': 'queued'}, Wish.STANDS),
        ({'raw_cache': 'true', 'status': 'deactivated'}, None),
        ({'raw_cache': 'true', 'disk_format': 'raw'}, None),
        ({'raw_cache': 'false'}, None),
        ({}, None),
    ],
)
def test_a_wish_stands_until_there_is_a_copy(one, changed, expected):
    found = one().wishes([{**active('a'), **changed}])

    assert found.get('a') is expected


def test_a_wish_has_failed_when_the_last_attempt_has(one, world):
    attempts.write(world.pool.ioctx, 'a', FAILED)
    running = dataclasses.replace(FAILED, error=UNFINISHED)
    attempts.write(world.pool.ioctx, 'b', running)

    found = one().wishes(active(i, raw_cache='true') for i in ('a', 'b', 'c'))

    assert found == {'a': Wish.FAILED, 'b': Wish.STANDS, 'c': Wish.STANDS}


def test_an_evicted_copy_is_told_apart_and_so_is_one_that_failed_since(
    one, world
):
    for image_id in ('a', 'b'):
        evicted.note(world.pool.ioctx, image_id, Evicted(0.0, 'lru', 7))
    attempts.write(world.pool.ioctx, 'b', FAILED)

    found = one().wishes(active(i, raw_cache='true') for i in ('a', 'b', 'c'))

    assert found == {'a': Wish.EVICTED, 'b': Wish.FAILED, 'c': Wish.STANDS}


def test_the_operator_may_wish_for_all_that_can_be_converted(one):
    images = [active('a'), {**active('b'), 'disk_format': 'iso'}]

    assert one('raw_cache_default = true').wishes(images) == {'a': Wish.STANDS}


def test_nothing_is_said_of_wishes_while_a_cluster_is_away(known):
    assert known.wishes([active('a', raw_cache='true')]) == {}


def test_nobody_asks_ceph_about_images_without_a_wish(one, monkeypatch):
    monkeypatch.delattr(attempts, 'read_some')
    monkeypatch.delattr(evicted, 'read_some')

    assert one().wishes([active('a')]) == {}


def test_images_are_glances(tmp_path, monkeypatch):
    catalog = FakeCatalog()
    catalog.add('a', b'')
    monkeypatch.setattr(facts, 'Catalog', lambda _conf: catalog)
    found = facts.Facts(configured.read(tmp_path))

    assert found.image('a') is catalog.images['a']
    assert found.image('b') is None
