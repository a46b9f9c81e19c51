# SPDX-License-Identifier: Apache-2.0
"""cinder.conf and nova.conf as their documentation advises, and no more."""

from __future__ import annotations

from pathlib import Path

from tests.cloud import Cloud
from tests.cloud import config


def _service_user(cloud: Cloud, name: str) -> dict[str, object]:
    """Return how a service logs in as itself."""
    env = cloud.env(name)
    return {
        'auth_type': 'password',
        'auth_url': env['OS_AUTH_URL'],
        'username': env['OS_USERNAME'],
        'password': env['OS_PASSWORD'],
        'user_domain_id': env['OS_USER_DOMAIN_ID'],
        'project_name': env['OS_PROJECT_NAME'],
        'project_domain_id': env['OS_PROJECT_DOMAIN_ID'],
    }


def _logging() -> dict[str, object]:
    return {
        'debug': True,
        'use_stderr': True,
        'default_log_levels': 'keystoneauth=WARN,urllib3=WARN,stevedore=WARN,'
        'oslo_concurrency=INFO,oslo_policy=WARN,sqlalchemy=WARN,'
        'glanceclient=INFO,dogpile=WARN',
    }


def cinder(cloud: Cloud, directory: Path, *, section: bool = True) -> Path:
    """Write cinder.conf; return its path.

    :param directory: of everything that Cinder writes
    :param section: with a user for the locations API, in [glance]
    """
    user = _service_user(cloud, 'cinder')
    (directory / 'conversion').mkdir()
    options: config.Options = {
        'DEFAULT': {
            **_logging(),
            'state_path': directory,
            'image_conversion_dir': directory / 'conversion',
            'auth_strategy': 'keystone',
            'glance_api_servers': cloud.catalog_url,
            # a failure is to be seen, not to be tried again
            'glance_num_retries': 0,
            'enabled_backends': 'rbd',
        },
        'database': {
            'connection': f'sqlite:///{directory}/cinder.db',
            'sqlite_synchronous': False,
        },
        'oslo_concurrency': {'lock_path': directory},
        'coordination': {'backend_url': f'file://{directory}'},
        'glance': user if section else {},
        'service_user': {**user, 'send_service_user_token': True},
        'rbd': {
            'volume_driver': 'cinder.volume.drivers.rbd.RBDDriver',
            'volume_backend_name': 'rbd',
            'rbd_pool': 'volumes',
            'rbd_user': 'cinder',
            'rbd_ceph_conf': cloud.cluster.conf,
        },
    }
    path = directory / 'cinder.conf'
    path.write_text(config.render(options))
    return path


def nova(
    cloud: Cloud,
    directory: Path,
    cephx_user: str,
    *,
    service_tokens: bool = True,
) -> Path:
    """Write nova.conf; return its path.

    :param directory: of everything that Nova writes
    :param service_tokens: sent along with users' tokens
    """
    user = _service_user(cloud, 'nova')
    (directory / 'instances').mkdir()
    options: config.Options = {
        'DEFAULT': {
            **_logging(),
            'state_path': directory,
            'instances_path': directory / 'instances',
        },
        'oslo_concurrency': {'lock_path': directory},
        'glance': {'api_servers': cloud.catalog_url, 'num_retries': 0},
        'service_user': {**user, 'send_service_user_token': service_tokens},
        'libvirt': {
            'images_type': 'rbd',
            'images_rbd_pool': 'vms',
            'images_rbd_ceph_conf': cloud.cluster.conf,
            'rbd_user': cephx_user,
            # nobody writes into these disks but us
            'inject_partition': -2,
        },
    }
    path = directory / 'nova.conf'
    path.write_text(config.render(options))
    return path
