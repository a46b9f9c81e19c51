# SPDX-License-Identifier: Apache-2.0
"""Nova makes images of servers whose disks are clones of raw copies.

With write access to the pool of the disk's parent, which is the raw pool,
Nova puts the image there itself; else it uploads it.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest
from glanceclient import exc

from tests.cloud import wsgi
from tests.consumers import configuration
from tests.consumers import guest
from tests.consumers.process import NOVA
from tests.consumers.process import Consumer
from tests.consumers.process import ConsumerError
from tests.functional.support import Tenant
from tests.functional.support import await_true
from tests.processes import ProcessError
from tests.processes import run


class Nova(NamedTuple):
    """A Nova, and where its images come to lie."""

    consumer: Consumer
    store: str
    pool: str
    uploads: bool


@pytest.fixture(params=['read-only caps', 'read-write caps'])
def snapping(request, nova, writing_nova) -> Nova:
    """Nova with either set of caps on the raw pool."""
    if request.param == 'read-only caps':
        return Nova(nova, 'ceph', 'images', True)
    return Nova(writing_nova, 'raw', 'images_raw', False)


def boot(
    nova: Consumer, user: dict[str, str], image_id: str, server_id: str
) -> str:
    """Make a server; return the path of its disk."""
    name = nova.call('boot', user=user, image_id=image_id, server_id=server_id)
    return f'vms/{name}'


def uploaded(nova: Consumer) -> bool:
    """Whether the last call sent bytes to Glance."""
    return any(answer.method == 'PUT' for answer in nova.answers)


def await_hash(alice: Tenant, image_id: str) -> Any:
    """Return the image when Glance has read it all and hashed it."""

    def hashed():
        image = alice.await_active(image_id)
        return image if image.os_hash_value else None

    return await_true(hashed, f'{image_id} has a hash')


def test_a_snapshot_is_an_original_with_the_bytes_of_the_disk(
    snapping, user, alice, copied, server_id, disk, tmp_path, cloud
):
    nova = snapping.consumer
    server = disk(boot(nova, user, copied, server_id))
    guest.boot(server.node)
    bytes_of_the_disk = server.sha512(tmp_path)

    image_id = nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )

    image = await_hash(alice, image_id)
    assert uploaded(nova) == snapping.uploads
    assert image.disk_format == 'raw'
    assert image.size == guest.SIZE
    assert image.os_hash_value == bytes_of_the_disk
    assert alice.download_sha512(image_id) == bytes_of_the_disk
    locations = alice.locations(image_id)
    assert set(locations) == {snapping.store}
    assert locations[snapping.store]['url'] == (
        f'rbd://{cloud.cluster.fsid}/{snapping.pool}/{image_id}/snap'
    )
    assert disk(f'{snapping.pool}/{image_id}@snap').parent() is None


def test_a_server_made_from_a_snapshot_boots(
    snapping, user, alice, copied, server_id, disk
):
    nova = snapping.consumer
    server = disk(boot(nova, user, copied, server_id))
    assert guest.greeting(1) in guest.boot(server.node)
    image_id = nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    await_hash(alice, image_id)

    other = boot(nova, user, image_id, f'{server_id}-2')

    assert disk(other).parent() == f'{snapping.pool}/{image_id}@snap'
    assert guest.greeting(2) in guest.boot(disk(other).node)


def test_a_volume_made_from_a_snapshot_has_its_bytes(
    snapping, cinder, user, alice, copied, server_id, disk, guest_image
):
    nova = snapping.consumer
    boot(nova, user, copied, server_id)
    image_id = nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    await_hash(alice, image_id)

    volume = disk(
        'volumes/' + cinder.call('create', user=user, image_id=image_id)
    )

    assert volume.parent() == f'{snapping.pool}/{image_id}@snap'
    assert volume.holds(guest_image)


def test_a_shelved_server_comes_back_with_its_bytes(
    snapping, user, alice, copied, server_id, disk, tmp_path
):
    nova = snapping.consumer
    path = boot(nova, user, copied, server_id)
    assert guest.greeting(1) in guest.boot(disk(path).node)
    before = disk(path).sha512(tmp_path)

    image_id = nova.call('shelve', user=user, server_id=server_id)
    await_hash(alice, image_id)
    nova.call('unshelve', user=user, server_id=server_id, image_id=image_id)

    assert disk(path).sha512(tmp_path) == before
    assert disk(path).parent() is None
    assert guest.greeting(2) in guest.boot(disk(path).node)
    with pytest.raises(exc.HTTPNotFound):
        alice.images.get(image_id)


def test_neither_snapshot_nor_shelving_leaves_anything(
    snapping, user, alice, copied, server_id, pool, cluster
):
    nova = snapping.consumer
    boot(nova, user, copied, server_id)
    image_id = nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    await_hash(alice, image_id)

    alice.images.delete(image_id)
    shelved = nova.call('shelve', user=user, server_id=server_id)
    await_hash(alice, shelved)
    nova.call('unshelve', user=user, server_id=server_id, image_id=shelved)
    nova.call('delete', server_id=server_id)

    assert pool.names() == [f'{copied}_raw']
    originals = cluster.rbd('ls', 'images').split()
    assert not {image_id, shelved} & set(originals)


def test_the_command_line_leaves_snapshots_alone(
    writing_nova, user, alice, copied, server_id, pool, cloud
):
    boot(writing_nova, user, copied, server_id)
    image_id = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    await_hash(alice, image_id)

    program = [
        wsgi.program('glance-rawstore'),
        '--config-file',
        str(cloud.conf),
    ]
    listed = json.loads(run([*program, 'list', '--format', 'json']))
    run([*program, 'reap'])
    reconciled = run([*program, 'reconcile'])

    assert [copy['image_id'] for copy in listed] == [copied]
    assert image_id not in reconciled
    assert sorted(pool.names()) == sorted([image_id, f'{copied}_raw'])
    assert set(alice.locations(image_id)) == {'raw'}


def test_a_snapshot_claims_no_copy_of_its_own(
    snapping, user, alice, copied, server_id, pool
):
    nova = snapping.consumer
    boot(nova, user, copied, server_id)
    image_id = nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )

    image = await_hash(alice, image_id)

    # Nova hands down what its base image has of properties.
    assert image.raw_cache == 'true'
    assert not [name for name in image if name.startswith('raw_cache_')]
    assert f'{image_id}_raw' not in pool.names()


def test_a_server_can_be_shelved_whose_image_is_deleted(
    snapping, user, alice, server_id, disk, guest_image, tmp_path
):
    nova = snapping.consumer
    image_id = alice.make_copy(guest_image)
    path = boot(nova, user, image_id, server_id)
    alice.images.delete(image_id)

    shelved = nova.call('shelve', user=user, server_id=server_id)
    await_hash(alice, shelved)
    nova.call('unshelve', user=user, server_id=server_id, image_id=shelved)

    assert disk(path).holds(guest_image)


def test_a_flat_disk_is_snapshot_beside_the_raw_copy_of_its_image(
    writing_nova, user, alice, copied, server_id
):
    boot(writing_nova, user, copied, server_id)
    shelved = writing_nova.call('shelve', user=user, server_id=server_id)
    await_hash(alice, shelved)
    writing_nova.call(
        'unshelve', user=user, server_id=server_id, image_id=shelved
    )

    image_id = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='flat'
    )

    assert not uploaded(writing_nova)
    await_hash(alice, image_id)
    assert set(alice.locations(image_id)) == {'raw'}


def test_a_flat_disk_is_snapshot_beside_its_image_without_a_copy(
    writing_nova, user, alice, uncopied, server_id
):
    boot(writing_nova, user, uncopied, server_id)

    image_id = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='flat'
    )

    assert not uploaded(writing_nova)
    await_hash(alice, image_id)
    assert set(alice.locations(image_id)) == {'ceph'}


@pytest.mark.parametrize('base', ['raw copy', 'raw original'])
def test_a_snapshot_with_a_volume_is_deleted_as_upstream_does(
    base,
    cinder,
    writing_nova,
    user,
    alice,
    copied,
    server_id,
    disk,
    guest_image,
    cluster,
):
    image_id, pool = copied, 'images_raw'
    if base == 'raw original':
        raw = guest_image.with_suffix('.raw')
        image_id, pool = alice.import_file(raw, 'raw'), 'images'
    boot(writing_nova, user, image_id, server_id)
    snapshot = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    await_hash(alice, snapshot)
    name = cinder.call('create', user=user, image_id=snapshot)
    volume = disk(f'volumes/{name}')
    assert volume.parent() == f'{pool}/{snapshot}@snap'

    alice.images.delete(snapshot)

    assert snapshot not in cluster.rbd('ls', pool)
    # Upstream leaves it to the administrator to empty this trash.
    with pytest.raises(ProcessError, match='linked clones'):
        cluster.rbd('trash', 'purge', '--no-progress', pool)
    assert snapshot in cluster.rbd('trash', 'ls', pool)
    assert volume.holds(guest_image)
    cinder.call('delete', name=name)
    assert snapshot in cluster.rbd('trash', 'ls', pool)
    cluster.rbd('trash', 'purge', '--no-progress', pool)
    assert snapshot not in cluster.rbd('trash', 'ls', pool)


def test_a_snapshot_with_a_clone_of_format_1_stays(
    writing_nova, user, alice, copied, server_id, cluster
):
    boot(writing_nova, user, copied, server_id)
    snapshot = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    digest = await_hash(alice, snapshot).os_hash_value
    clone = ('clone', '--rbd-default-clone-format', '1')
    cluster.rbd(*clone, f'images_raw/{snapshot}@snap', 'volumes/volume-1')

    with pytest.raises(exc.HTTPConflict):
        alice.images.delete(snapshot)

    assert alice.images.get(snapshot).status == 'active'
    assert alice.download_sha512(snapshot) == digest
    cluster.rbd('rm', '--no-progress', 'volumes/volume-1')
    alice.images.delete(snapshot)
    assert snapshot not in cluster.rbd('ls', 'images_raw')


def test_a_snapshot_can_be_moved_out_of_the_raw_store(
    writing_nova, user, alice, copied, server_id, cloud, pool
):
    boot(writing_nova, user, copied, server_id)
    image_id = writing_nova.call(
        'snapshot', user=user, server_id=server_id, name='snapshot'
    )
    digest = await_hash(alice, image_id).os_hash_value
    admin = cloud.client('admin').images

    admin.image_import(image_id, method='copy-image', stores=['ceph'])
    await_true(lambda: 'ceph' in alice.locations(image_id), 'it is copied')
    alice.await_active(image_id)
    admin.delete_from_store('raw', image_id)

    assert pool.names() == [f'{copied}_raw']
    assert set(alice.locations(image_id)) == {'ceph'}
    assert alice.download_sha512(image_id) == digest


def test_nova_without_service_tokens_makes_no_images_of_servers(
    running_cloud, tmp_path, user, copied, uncopied, disk, pool
):
    conf = configuration.nova(
        running_cloud, tmp_path, 'nova', service_tokens=False
    )
    with Consumer(NOVA, conf, running_cloud.port) as nova:
        # It is shown what Alice is, raw_cache_status and all, and hands that
        # down to the snapshot's image, as if Alice did.
        assert disk(boot(nova, user, copied, 'one')).parent() is None
        with pytest.raises(ConsumerError, match='is read-only'):
            nova.call('snapshot', user=user, server_id='one', name='one')
        # Glance itself takes locations from services only.
        boot(nova, user, uncopied, 'two')
        with pytest.raises(ConsumerError, match='ImageNotAuthorized'):
            nova.call('snapshot', user=user, server_id='two', name='two')

    assert pool.names() == [f'{copied}_raw']
