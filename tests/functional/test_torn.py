# SPDX-License-Identifier: Apache-2.0
"""What a client leaves in Ceph that is killed within one call of librbd's.

Its renames and moves to the trash are several writes; the states between
them are made here by hand, as killed workers were seen to leave them.
"""

import contextlib
from collections.abc import Iterator

import pytest
import rados
import rbd

from glance_rawstore import ceph
from glance_rawstore import evicted
from glance_rawstore import inventory
from glance_rawstore import torn as torn_module
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_pool import RawPool
from tests.cluster import Cluster
from tests.contract.raw_pool import RawPoolContract
from tests.functional import test_raw_pool as contracts
from tests.functional.test_raw_pool import RealWorld

DIRECTORY = 'rbd_directory'


@pytest.fixture(scope='module')
def pools(cluster: Cluster) -> Iterator[Cluster]:
    """As the contracts have them."""
    for name in (contracts.RAW, contracts.VOLUMES):
        cluster.create_pool(name)
    for user, caps in contracts.CAPS.items():
        cluster.user(user, {'mon': 'profile rbd', 'osd': caps})
    yield cluster
    for name in (contracts.RAW, contracts.VOLUMES):
        cluster.delete_pool(name)


@pytest.fixture
def world(pools: Cluster) -> Iterator[RealWorld]:
    """Both pools as new."""
    with contextlib.ExitStack() as stack:
        yield RealWorld(pools, stack)
    pools.empty_pool(contracts.RAW, contracts.VOLUMES)


def entries(pool: RawPool, name: str, rbd_id: str) -> dict[str, bytes]:
    """An image's entries in the directory."""
    keys = (f'name_{name}', f'id_{rbd_id}')
    with rados.ReadOpCtx() as operation:
        found, _ = pool.ioctx.get_omap_vals_by_keys(operation, keys)
        pool.ioctx.operate_read_op(operation, DIRECTORY)
        return dict(found)


def put_entries(pool: RawPool, found: dict[str, bytes]) -> None:
    with rados.WriteOpCtx() as operation:
        pool.ioctx.set_omap(operation, tuple(found), tuple(found.values()))
        pool.ioctx.operate_write_op(operation, DIRECTORY)


def whole(world: RealWorld) -> tuple[str, str]:
    """A copy whose worker was killed at the rename."""
    image_id, rbd_id = world.copy()
    name, part = raw_copy.name(image_id), raw_copy.part_name(image_id)
    rbd.RBD().rename(world.pool.ioctx, name, part)
    return image_id, rbd_id


def named_only(world: RealWorld) -> tuple[str, str]:
    """Killed after the first write of the rename."""
    image_id, rbd_id = whole(world)
    ioctx = world.pool.ioctx
    data = ioctx.read(f'rbd_id.{raw_copy.part_name(image_id)}')
    ioctx.write_full(f'rbd_id.{raw_copy.name(image_id)}', data)
    return image_id, rbd_id


def named_and_listed(world: RealWorld) -> tuple[str, str]:
    """Killed before the last write of the rename."""
    image_id, rbd_id = world.copy()
    ioctx = world.pool.ioctx
    data = ioctx.read(f'rbd_id.{raw_copy.name(image_id)}')
    ioctx.write_full(f'rbd_id.{raw_copy.part_name(image_id)}', data)
    return image_id, rbd_id


def added_to_trash(world: RealWorld) -> tuple[str, str]:
    """Killed after the first write of a move to the trash."""
    image_id, rbd_id = world.copy()
    name, pool = raw_copy.name(image_id), world.pool
    data = pool.ioctx.read(f'rbd_id.{name}')
    found = entries(pool, name, rbd_id)
    rbd.RBD().trash_move(pool.ioctx, name, 0)
    put_entries(pool, found)
    pool.ioctx.write_full(f'rbd_id.{name}', data)
    return image_id, rbd_id


def unnamed(world: RealWorld) -> tuple[str, str]:
    """Killed before the last write of a move to the trash."""
    image_id, rbd_id = world.copy()
    name, pool = raw_copy.name(image_id), world.pool
    found = entries(pool, name, rbd_id)
    rbd.RBD().trash_move(pool.ioctx, name, 0)
    put_entries(pool, found)
    return image_id, rbd_id


@pytest.mark.parametrize('torn', [added_to_trash, unnamed])
def test_an_interrupted_deletion_is_finished(
    world: RealWorld, torn: object
) -> None:
    image_id, rbd_id = torn(world)  # type: ignore[operator]
    node = world.other_node()
    assert inventory.all_images(node) == [], (
        'it is gone, whatever its name says'
    )

    torn_module.finish_trash(node.ioctx, image_id)

    assert world.names() == []
    assert world.trash() == [rbd_id]
    torn_module.finish_trash(node.ioctx, image_id)
    assert node.purge(rbd_id)
    contracts.eventually(lambda: objects(world) == [], 'nothing is left')


def nothing_listed(world: RealWorld) -> tuple[str, str]:
    """A rename that went on while its image was moved to the trash."""
    image_id, rbd_id = world.copy()
    name, pool = raw_copy.name(image_id), world.pool
    found = entries(pool, name, rbd_id)
    assert pool.delete(image_id)
    put_entries(pool, found)
    return image_id, name


def nothing_named(world: RealWorld) -> tuple[str, str]:
    """The same, a moment later."""
    image_id, rbd_id = world.copy()
    name, pool = raw_copy.name(image_id), world.pool
    data = pool.ioctx.read(f'rbd_id.{name}')
    found = entries(pool, name, rbd_id)
    assert pool.delete(image_id)
    put_entries(pool, found)
    pool.ioctx.write_full(f'rbd_id.{name}', data)
    return image_id, name


def nothing_created(world: RealWorld) -> tuple[str, str]:
    """Killed before the last write of a creation."""
    image_id, rbd_id = world.begin()
    world.pool.ioctx.remove_object(f'rbd_header.{rbd_id}')
    return image_id, raw_copy.part_name(image_id)


@pytest.mark.parametrize(
    'torn', [nothing_listed, nothing_named, nothing_created]
)
def test_a_name_of_nothing_is_removed(
    world: RealWorld, torn: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    image_id, name = torn(world)  # type: ignore[operator]
    assert world.names() == [name]
    monkeypatch.setattr(torn_module, '_CREATION', 0.0)

    torn_module.finish_trash(world.other_node().ioctx, image_id)

    assert world.names() == []
    contracts.eventually(lambda: objects(world) == [], 'nothing is left')
    world.copy(image_id)


def test_what_is_being_created_keeps_its_name(world: RealWorld) -> None:
    """Its header comes last."""
    image_id, name = nothing_created(world)

    torn_module.finish_trash(world.other_node().ioctx, image_id)

    assert world.names() == [name]


@pytest.mark.parametrize('deleted', [True, False])
def test_what_cannot_be_opened_goes_once_its_header_is_removed(
    world: RealWorld, deleted: bool
) -> None:
    """As the manual tells operators, who do this with ``rados``.

    Until then librbd opens it in no way, and neither moves nor removes it.
    """
    image_id, rbd_id = world.copy()
    name, ioctx = raw_copy.name(image_id), world.pool.ioctx
    if deleted:
        rbd.RBD().trash_move(ioctx, name, 0)
    world.damage(rbd_id)
    node = world.other_node()
    with pytest.raises(rbd.IOError):
        rbd.Image(node.ioctx, image_id=rbd_id, read_only=True)
    remove = rbd.RBD().trash_remove if deleted else rbd.RBD().trash_move
    with pytest.raises(rbd.IOError):
        remove(node.ioctx, rbd_id if deleted else name)
    (left,) = inventory.of_image(node, image_id)
    assert left.rbd_id == rbd_id

    ioctx.remove_object(f'rbd_header.{rbd_id}')
    if deleted:
        assert inventory.reap(node).gone == (image_id,)
    else:
        rbd.RBD().remove(node.ioctx, name)

    assert world.names() == world.trash() == []
    kept = {f'rbd_data.{rbd_id}', f'rbd_object_map.{rbd_id}'}
    assert {o.rpartition('.')[0] for o in objects(world)} == kept
    world.copy(image_id)


def objects(world: RealWorld) -> list[str]:
    kept = {'rbd_directory', 'rbd_info', 'rbd_trash', 'rbd_children'}
    kept.add(evicted.OBJECT)  # a trace of what has gone
    return sorted({o.key for o in world.pool.ioctx.list_objects()} - kept)


@pytest.mark.parametrize('torn', [whole, named_only, named_and_listed])
def test_an_interrupted_rename_is_finished_by_the_next_commit(
    world: RealWorld, torn: object
) -> None:
    image_id, rbd_id = torn(world)  # type: ignore[operator]

    assert world.other_node().commit(image_id, rbd_id, {}) > 0

    assert world.names() == [raw_copy.name(image_id)]
    assert world.pool.rbd_id(raw_copy.part_name(image_id)) is None
    assert world.pool.status(image_id) is Status.ACTIVE
    RawPoolContract.check_intact(world, image_id)
    names = [o for o in objects(world) if o.startswith('rbd_id.')]
    assert names == [f'rbd_id.{raw_copy.name(image_id)}']


@pytest.mark.parametrize(
    'torn', [whole, named_only, named_and_listed, added_to_trash, unnamed]
)
def test_whatever_was_interrupted_can_be_deleted(
    world: RealWorld, torn: object
) -> None:
    image_id, rbd_id = torn(world)  # type: ignore[operator]
    node = world.other_node()

    with contextlib.suppress(ceph.exceptions.NotFound):
        node.delete(image_id)
    node.purge(rbd_id)

    assert world.names() == world.trash() == []
    contracts.eventually(lambda: objects(world) == [], 'nothing is left')
    world.copy(image_id)


def test_an_entry_of_nothing_in_the_trash_is_removed(world: RealWorld) -> None:
    """Killed before the last write of a removal."""
    image_id, rbd_id = world.begin()
    pool = world.pool
    rbd.RBD().trash_move(pool.ioctx, raw_copy.part_name(image_id), 0)
    pool.ioctx.remove_object(f'rbd_header.{rbd_id}')
    assert world.trash() == [rbd_id]

    assert inventory.reap(world.other_node()).gone == (image_id,)

    assert world.trash() == []
    contracts.eventually(lambda: objects(world) == [], 'nothing is left')
