# SPDX-License-Identifier: Apache-2.0
"""What is looked up of images, and when."""

import uuid

import pytest

from glance_rawstore import exceptions
from glance_rawstore import stores
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import facts
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


@pytest.mark.parametrize(
    ('properties', 'expected'),
    [
        ({'raw_cache': 'true'}, {'a': 'failure'}),
        ({'raw_cache': 'nonsense'}, {'a': 'failure'}),
        ({'raw_cache': 'false'}, {}),
        ({}, {}),
    ],
)
def test_the_task_is_that_of_an_image_that_wants_a_copy(
    tmp_path, monkeypatch, properties, expected
):
    catalog = FakeCatalog()
    catalog.add('a', b'')
    task_id = catalog.create_task(catalog.images['a'], 'raw', None, 'Waits.')
    catalog.fail_task(task_id, 'Why.')
    monkeypatch.setattr(facts, 'Catalog', lambda _conf: catalog)
    known = facts.Facts(configured.read(tmp_path))

    assert known.tasks([image('a', **properties)]) == expected
    assert known.image('a') is catalog.images['a']
    assert known.image('b') is None
