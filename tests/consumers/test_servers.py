# SPDX-License-Identifier: Apache-2.0
"""Nova makes servers' disks from images."""

from __future__ import annotations

import pytest

from tests import images
from tests.consumers import guest
from tests.consumers.disks import GIB
from tests.consumers.disks import raw_copy
from tests.consumers.process import ConsumerError


def test_a_disk_is_a_clone_of_the_raw_copy(
    nova, user, copied, server_id, disk, guest_image
):
    name = nova.call('boot', user=user, image_id=copied, server_id=server_id)

    assert disk(f'vms/{name}').parent() == raw_copy(copied)
    assert disk(f'vms/{name}').used() == 0
    assert disk(f'vms/{name}').holds(guest_image)
    assert f'/v2/images/{copied}/file' not in [a.path for a in nova.answers]


def test_a_server_boots(nova, user, copied, server_id, disk):
    name = nova.call('boot', user=user, image_id=copied, server_id=server_id)

    assert guest.greeting(1) in guest.boot(disk(f'vms/{name}').node)


def test_without_a_raw_copy_nova_downloads_and_converts(
    nova, user, uncopied, server_id, disk, guest_image
):
    name = nova.call('boot', user=user, image_id=uncopied, server_id=server_id)

    assert disk(f'vms/{name}').parent() is None
    assert disk(f'vms/{name}').holds(guest_image)


def test_the_raw_copy_is_as_large_as_the_smallest_flavor_for_the_guest(
    nova, user, alice, server_id, disk, tmp_path
):
    whole = images.qcow2(tmp_path, contents=images.Contents(size=GIB))
    image_id = alice.make_copy(whole)

    name = nova.call(
        'boot', user=user, image_id=image_id, server_id=server_id, size=1
    )

    assert disk(f'vms/{name}').parent() == raw_copy(image_id)


def test_a_flavor_that_the_guest_does_not_fit_into_is_refused(
    nova, user, alice, server_id, tmp_path
):
    large = images.qcow2(tmp_path, contents=images.Contents(size=2 * GIB))
    image_id = alice.make_copy(large)

    with pytest.raises(ConsumerError, match='FlavorDiskSmallerThanImage'):
        nova.call(
            'boot', user=user, image_id=image_id, server_id=server_id, size=1
        )
