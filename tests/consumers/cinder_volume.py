# SPDX-License-Identifier: Apache-2.0
"""What cinder-volume does to make a volume, called in Cinder's own process.

The tasks of Cinder's own flow, its RBD driver, its image service and its
database; without its queue and scheduler, which only bring the request here.
"""

from __future__ import annotations

from collections.abc import Mapping

from cinder import objects

# Before all other imports, as in cinder.cmd.volume: Cinder's modules need it.
objects.register_all()

# ruff: noqa: E402
import cinder.privsep
from cinder import context
from cinder import utils
from cinder.common import config  # noqa: F401, registers options
from cinder.db import api as db
from cinder.db import migration
from cinder.image import glance
from cinder.image import image_utils
from cinder.volume import configuration
from cinder.volume import manager
from cinder.volume import volume_utils
from cinder.volume.drivers import rbd
from cinder.volume.flows.manager import create_volume
from oslo_config import cfg
from oslo_log import log

_BACKEND = 'rbd'

_driver: rbd.RBDDriver


def configure(config_file: str) -> None:
    """Get ready as cinder-volume does when it starts."""
    global _driver
    log.register_options(cfg.CONF)
    cfg.CONF(['--config-file', config_file], project='cinder')
    log.setup(cfg.CONF, 'cinder')
    migration.db_sync()
    # Nobody is here who could do things as root for it, and none of what is
    # called needs that.
    cinder.privsep.sys_admin_pctxt.set_client_mode(False)
    utils.get_root_helper = lambda: 'env'
    _driver = rbd.RBDDriver(
        configuration=configuration.Configuration(
            manager.volume_backend_opts, config_group=_BACKEND
        )
    )
    _driver.do_setup(context.get_admin_context())
    _driver.check_for_setup_error()
    _driver.set_initialized()


def _context(user: Mapping[str, str]) -> context.RequestContext:
    return context.RequestContext(
        user_id=user['user_id'],
        project_id=user['project_id'],
        auth_token=user['token'],
        is_admin=False,
        roles=['member', 'reader'],
    )


def _volume(caller: context.RequestContext, size: int) -> objects.Volume:
    volume = objects.Volume(
        caller,
        user_id=caller.user_id,
        project_id=caller.project_id,
        size=size,
        status='creating',
        host=f'host@{_BACKEND}#{_BACKEND}',
    )
    volume.create()
    return volume


def create(user: Mapping[str, str], image_id: str, size: int = 1) -> str:
    """Make a volume from an image; return the name of its RBD image.

    :param user: user_id, project_id and token
    :param size: in GiB
    """
    caller = _context(user)
    # first cinder-api...
    image = glance.get_default_image_service().show(caller, image_id)
    volume_utils.check_image_metadata(image, size)
    volume = _volume(caller, size)
    # ... then cinder-volume.
    extract = create_volume.ExtractVolumeSpecTask(db)
    make = create_volume.CreateVolumeFromSpecTask(None, db, _driver)
    specs = extract.execute(caller, volume, {'image_id': image_id})
    make.execute(caller, volume, specs)
    return str(volume.name)


def clone(user: Mapping[str, str], image_id: str) -> tuple[str, bool]:
    """Ask the driver alone to clone; return the name, and whether it did."""
    caller = _context(user)
    service = glance.get_default_image_service()
    location = service.get_location(caller, image_id)
    image = service.show(caller, image_id)
    volume = _volume(caller, 1)
    _, cloned = _driver.clone_image(caller, volume, location, image, service)
    return str(volume.name), bool(cloned)


def fetch(user: Mapping[str, str], image_id: str, size: int = 1) -> str:
    """Make a volume from an image that cannot be cloned; return its name.

    As the flow does then (``CreateVolumeFromSpecTask``, cinder 29).
    """
    caller = _context(user)
    volume = _volume(caller, size)
    service = glance.get_default_image_service()
    with image_utils.TemporaryImages.fetch(
        service, caller, image_id, _BACKEND
    ):
        _driver.create_volume(volume)
        _driver.copy_image_to_volume(caller, volume, service, image_id)
    return str(volume.name)


def try_again(times: int) -> None:
    """Ask Glance again so often when it says that it cannot answer."""
    cfg.CONF.set_override('glance_num_retries', times)


def metadata(name: str) -> dict[str, str]:
    """What Cinder keeps of the image that a volume was made from."""
    volume_id = name.removeprefix('volume-')
    rows = db.volume_glance_metadata_get(
        context.get_admin_context(), volume_id
    )
    return {row.key: row.value for row in rows}


def delete(name: str) -> None:
    """Delete a volume's RBD image."""
    volume_id = name.removeprefix('volume-')
    volume = objects.Volume.get_by_id(context.get_admin_context(), volume_id)
    _driver.delete_volume(volume)
