# SPDX-License-Identifier: Apache-2.0
"""Copies go with their image, or with their last clone."""

from pathlib import Path
from typing import Any

import pytest
import rbd
from glanceclient import exc

from glance_rawstore import ceph
from tests.cloud import Cloud
from tests.functional.consumer import Consumer
from tests.functional.support import Pool
from tests.functional.support import Tenant


@pytest.fixture(params=[1, 2], ids=['clone-format-1', 'clone-format-2'])
def consumer(
    cloud: Cloud, volumes: str, request: pytest.FixtureRequest
) -> Consumer:
    """A consumer for each clone format."""
    del volumes
    return Consumer(cloud, request.param)


@pytest.fixture
def image_id(cloud: Cloud, small_image: Path) -> str:
    """An image with an active copy."""
    return Tenant(cloud).make_copy(small_image)


@pytest.fixture
def delete(cloud: Cloud, image_id: str) -> Any:
    """Deletes that image as its owner."""
    return lambda: Tenant(cloud).images.delete(image_id)


def test_a_copy_without_clones_goes_with_its_image(
    pool: Pool, image_id: str, delete: Any
) -> None:
    assert pool.names() == [f'{image_id}_raw']
    delete()
    assert pool.names() == []


@pytest.mark.parametrize('children', [1, 3])
def test_a_cloned_copy_waits_in_the_trash_for_its_last_clone(
    pool: Pool,
    consumer: Consumer,
    image_id: str,
    delete: Any,
    children: int,
    cloud: Cloud,
) -> None:
    names = [f'child-{number}' for number in range(children)]
    for name in names:
        consumer.clone(image_id, name)
    before = consumer.read(names[0], 4096)
    delete()
    with pytest.raises(exc.HTTPNotFound):
        Tenant(cloud).images.get(image_id)
    assert pool.names() == [f'trash:{image_id}_raw']
    for name in names:
        assert pool.reap().in_use == (image_id,)
        assert consumer.read(name, 4096) == before
        consumer.remove(name)
    reaped = pool.reap()
    assert reaped.gone == (image_id,)
    assert reaped.freed > 0
    assert pool.names() == []


def test_a_flattened_clone_does_not_keep_a_copy(
    pool: Pool, consumer: Consumer, image_id: str, delete: Any
) -> None:
    consumer.clone(image_id, 'child')
    before = consumer.read('child', 4096)
    consumer.flatten('child')
    delete()
    assert pool.names() == []
    assert consumer.read('child', 4096) == before


def test_a_clone_flattened_later_lets_the_copy_go(
    pool: Pool, consumer: Consumer, image_id: str, delete: Any
) -> None:
    consumer.clone(image_id, 'child')
    delete()
    assert pool.names() == [f'trash:{image_id}_raw']
    consumer.flatten('child')
    assert pool.reap().gone == (image_id,)
    assert pool.names() == []


def test_a_grandchild_keeps_only_its_parent(
    pool: Pool, consumer: Consumer, image_id: str, delete: Any
) -> None:
    consumer.clone(image_id, 'child')
    consumer.clone_clone('child', 'grandchild')
    before = consumer.read('grandchild', 4096)
    delete()
    assert pool.reap().in_use == (image_id,)
    consumer.flatten('grandchild')
    assert pool.reap().in_use == (image_id,)
    consumer.remove('child')
    assert pool.reap().gone == (image_id,)
    assert consumer.read('grandchild', 4096) == before


def test_deleting_from_the_raw_store_keeps_the_image(
    cloud: Cloud, pool: Pool, consumer: Consumer, image_id: str
) -> None:
    consumer.clone(image_id, 'child')
    cloud.client('admin').images.delete_from_store('raw', image_id)
    assert pool.names() == [f'trash:{image_id}_raw']
    tenant = Tenant(cloud)
    assert tenant.images.get(image_id).status == 'active'
    assert set(tenant.locations(image_id)) == {'ceph'}


def test_reap_leaves_what_is_not_a_copy_alone(
    cloud: Cloud, pool: Pool
) -> None:
    with ceph.connect(pool.settings) as (_client, ioctx):
        rbd.RBD().create(ioctx, 'somebody-elses', 1 << 20, old_format=False)
        rbd.RBD().trash_move(ioctx, 'somebody-elses', 0)
    assert pool.reap() == type(pool.reap())((), (), 0)
    assert pool.names() == ['trash:somebody-elses']
