# SPDX-License-Identifier: Apache-2.0
"""Cinder makes volumes from images."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import images
from tests.consumers import configuration
from tests.consumers import guest
from tests.consumers.disks import GIB
from tests.consumers.disks import raw_copy
from tests.consumers.process import CINDER
from tests.consumers.process import Consumer
from tests.consumers.process import ConsumerError


def test_a_volume_is_a_clone_of_the_raw_copy(
    cinder, user, copied, disk, guest_image
):
    name = cinder.call('create', user=user, image_id=copied)

    volume = disk(f'volumes/{name}')
    assert volume.parent() == raw_copy(copied)
    assert volume.used() == 0
    assert volume.holds(guest_image)


def test_the_driver_clones_with_what_its_image_service_tells(
    cinder, user, copied, disk, guest_image
):
    name, cloned = cinder.call('clone', user=user, image_id=copied)

    assert cloned
    assert disk(f'volumes/{name}').parent() == raw_copy(copied)
    assert disk(f'volumes/{name}').holds(guest_image)


def test_no_bytes_of_the_image_go_over_http(cinder, user, copied):
    cinder.call('create', user=user, image_id=copied)

    asked = [answer.path for answer in cinder.answers]
    assert f'/v2/images/{copied}/locations' in asked
    assert f'/v2/images/{copied}/file' not in asked


def test_what_cinder_keeps_of_the_image_is_of_the_raw_copy(
    cinder, user, copied
):
    kept = cinder.call(
        'metadata', name=cinder.call('create', user=user, image_id=copied)
    )

    assert kept['disk_format'] == 'raw'
    assert kept['container_format'] == 'bare'
    assert kept['size'] == str(guest.SIZE)
    assert kept['image_id'] == copied
    assert not {'checksum', 'raw_cache_status'} & set(kept)


def test_cinder_without_a_user_for_locations_clones_too(
    running_cloud, tmp_path, user, copied, disk, guest_image
):
    conf = configuration.cinder(running_cloud, tmp_path, section=False)
    with Consumer(CINDER, conf, running_cloud.port) as cinder:
        name = cinder.call('create', user=user, image_id=copied)
        refused = [a.path for a in cinder.answers if a.status == 403]

    assert refused == [f'/v2/images/{copied}/locations']
    assert disk(f'volumes/{name}').parent() == raw_copy(copied)
    assert disk(f'volumes/{name}').holds(guest_image)


def test_without_a_raw_copy_cinder_downloads_and_converts(
    cinder, user, uncopied, disk, guest_image
):
    name = cinder.call('create', user=user, image_id=uncopied)

    assert disk(f'volumes/{name}').parent() is None
    assert disk(f'volumes/{name}').holds(guest_image)
    assert f'/v2/images/{uncopied}/file' in [a.path for a in cinder.answers]


def test_a_raw_original_is_cloned_as_ever(
    cinder, user, alice, disk, guest_image
):
    raw = guest_image.with_suffix('.raw')
    image_id = alice.import_file(raw, 'raw', raw_cache='true')

    name = cinder.call('create', user=user, image_id=image_id)

    assert disk(f'volumes/{name}').parent() == f'images/{image_id}@snap'
    assert disk(f'volumes/{name}').holds(guest_image)


def test_a_volume_that_the_guest_does_not_fit_into_is_refused(
    cinder, user, alice, tmp_path
):
    large = images.qcow2(tmp_path, contents=images.Contents(size=2 * GIB))
    image_id = alice.make_copy(large)

    with pytest.raises(ConsumerError, match='larger than volume'):
        cinder.call('create', user=user, image_id=image_id, size=1)


def test_a_volume_outlives_its_image(
    cinder, user, alice, disk, guest_image, pool
):
    image_id = alice.make_copy(guest_image)
    name = cinder.call('create', user=user, image_id=image_id)
    alice.images.delete(image_id)

    assert f'trash:{image_id}_raw' in pool.names()
    assert pool.reap().gone == ()
    assert disk(f'volumes/{name}').holds(guest_image)

    cinder.call('delete', name=name)
    assert pool.reap().gone == (image_id,)
    assert image_id not in ' '.join(pool.names())


def test_a_volume_boots(cinder, user, copied, disk, tmp_path: Path):
    name = cinder.call('create', user=user, image_id=copied)
    volume = disk(f'volumes/{name}')

    assert guest.greeting(1) in guest.boot(volume.node)

    assert volume.parent() == raw_copy(copied)
    # The guest has written: to its own disk, not to the raw copy.
    assert guest.greeting(2) in guest.boot(volume.node)
    other = cinder.call('create', user=user, image_id=copied)
    assert guest.greeting(1) in guest.boot(disk(f'volumes/{other}').node)
