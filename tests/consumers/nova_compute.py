# SPDX-License-Identifier: Apache-2.0
"""What nova-compute does with a server's disk, called in Nova's own process.

The libvirt driver's own methods, with its image backend for RBD and its image
service. There is no libvirt: the servers are stopped, and what the driver asks
of the hypervisor is answered by _Guest and _Host below.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import Any

import nova.conf
import nova.privsep
from nova import config  # noqa: F401, registers options
from nova import context
from nova import objects
from nova import utils
from nova.compute import power_state
from nova.compute import utils as compute_utils
from nova.compute import vm_states
from nova.image import glance
from nova.virt.libvirt import config as vconfig
from nova.virt.libvirt import driver
from nova.virt.libvirt import imagebackend
from nova.virt.libvirt import utils as libvirt_utils
from oslo_log import log

CONF = nova.conf.CONF

_DISK = 'disk'
_MAPPING = {_DISK: {'bus': 'virtio', 'dev': 'vda', 'type': 'disk'}}

_driver: driver.LibvirtDriver
#: Servers by their id; a real Nova has them in its database.
_servers: dict[str, objects.Instance] = {}


class _Guest:
    """A domain of libvirt that is shut off."""

    def __init__(self, disk: vconfig.LibvirtConfigGuestDisk) -> None:
        self._disk = disk

    def get_config(self) -> vconfig.LibvirtConfigGuest:
        domain = vconfig.LibvirtConfigGuest()
        domain.virt_type = 'qemu'
        domain.add_device(self._disk)
        return domain

    def get_power_state(self, host: Any) -> int:
        return power_state.SHUTDOWN


class _Host:
    """The connection to libvirt."""

    def get_guest(self, instance: objects.Instance) -> _Guest:
        backend = _driver.image_backend.by_name(
            instance, _DISK, disk_info_mapping=_MAPPING[_DISK]
        )
        return _Guest(backend.libvirt_info('none', {}))

    def has_min_version(self, **_: Any) -> bool:
        return True


def configure(config_file: str) -> None:
    """Get ready as nova-compute does when it starts."""
    global _driver
    log.register_options(CONF)
    CONF(['--config-file', config_file], project='nova')
    log.setup(CONF, 'nova')
    objects.register_all()
    # Nobody is here who could do things as root for it.
    nova.privsep.sys_admin_pctxt.set_client_mode(False)
    # Its constructor would load libvirt.
    _driver = driver.LibvirtDriver.__new__(driver.LibvirtDriver)
    _driver.image_backend = imagebackend.Backend(CONF.use_cow_images)
    _driver._image_api = glance.API()
    _driver._host = _Host()


def _context(user: Mapping[str, str]) -> context.RequestContext:
    return context.RequestContext(
        user_id=user['user_id'],
        project_id=user['project_id'],
        auth_token=user['token'],
        is_admin=False,
        roles=['member', 'reader'],
    )


def boot(
    user: Mapping[str, str], image_id: str, server_id: str, size: int = 0
) -> str:
    """Make a server's disk from an image; return the name of its RBD image.

    :param user: user_id, project_id and token
    :param size: of the flavor, in GiB; 0 for that of the image
    """
    caller = _context(user)
    # first nova-api...
    image = glance.API().get(caller, image_id)
    flavor = objects.Flavor(root_gb=size, extra_specs={}, memory_mb=64)
    kept = utils.get_system_metadata_from_image(image, flavor)
    server = objects.Instance(
        caller,
        uuid=server_id,
        user_id=caller.user_id,
        project_id=caller.project_id,
        image_ref=image_id,
        kernel_id='',
        ramdisk_id='',
        os_type=None,
        config_drive='',
        launched_at=None,
        flavor=flavor,
        system_metadata=kept,
        task_state=None,
        vm_state=vm_states.BUILDING,
        trusted_certs=None,
        migration_context=None,
        ephemeral_key_uuid=None,
    )
    _servers[server_id] = server
    # ... then nova-compute.
    _make_disk(caller, server, image_id)
    server.vm_state = vm_states.STOPPED
    return f'{server_id}_{_DISK}'


def _make_disk(
    caller: context.RequestContext, server: objects.Instance, image_id: str
) -> None:
    _driver._create_and_inject_local_root(
        caller,
        server,
        _MAPPING,
        booted_from_volume=False,
        suffix='',
        disk_images={'image_id': image_id},
        injection_info=None,
        fallback_from_host=None,
    )


def fetch(user: Mapping[str, str], image_id: str, path: str) -> str:
    """Download an image, as for the cache of images; return its path."""
    libvirt_utils.fetch_image(_context(user), path, image_id)
    return path


def try_again(times: int) -> None:
    """Ask Glance again so often when it says that it cannot answer."""
    CONF.set_override('num_retries', times, 'glance')


def snapshot(user: Mapping[str, str], server_id: str, name: str) -> str:
    """Make an image of a server; return the image's id."""
    caller = _context(user)
    server = _servers[server_id]
    # nova-api: a queued image with what the base image's properties were
    image = compute_utils.create_image(
        caller, server, name, 'snapshot', glance.API()
    )
    _driver.snapshot(caller, server, image['id'], lambda **_: None)
    return str(image['id'])


def shelve(user: Mapping[str, str], server_id: str) -> str:
    """Make an image of a server and drop its disk; return the image's id."""
    image_id = snapshot(user, server_id, f'{server_id}-shelved')
    server = _servers[server_id]
    _driver._cleanup_rbd(server)
    server.vm_state = vm_states.SHELVED_OFFLOADED
    return image_id


def unshelve(user: Mapping[str, str], server_id: str, image_id: str) -> None:
    """Make the disk of a shelved server anew, and delete the image."""
    caller = _context(user)
    server = _servers[server_id]
    _make_disk(caller, server, image_id)
    server.vm_state = vm_states.STOPPED
    glance.API().delete(caller, image_id)


def delete(server_id: str) -> None:
    """Delete a server's disk."""
    _driver._cleanup_rbd(_servers.pop(server_id))


def forget_images() -> None:
    """Empty the cache of downloaded images."""
    cache = os.path.join(
        CONF.instances_path, CONF.image_cache.subdirectory_name
    )
    shutil.rmtree(cache, ignore_errors=True)
