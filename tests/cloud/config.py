# SPDX-License-Identifier: Apache-2.0
"""Configuration of the real Glance: options, stores and pipeline."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Mapping
from pathlib import Path

# group: {option: value}; a list's items are joined with commas
Options = Mapping[str, Mapping[str, object]]

IMPORT_METHODS = '[glance-direct,web-download,copy-image,glance-download]'

# stores of ours and of Ceph by name, and the driver of each
CEPH = 'ceph'
RAW = 'raw'

# the filter, as an operator writes it into Glance's api-paste.ini
RAW_VIEW = {'raw_view': 'glance_rawstore.raw_view:filter_factory'}


def render(options: Options) -> str:
    """Return the text of a configuration file."""
    lines = []
    for group, values in options.items():
        lines.append(f'[{group}]')
        for option, value in values.items():
            if isinstance(value, list | tuple):
                value = ','.join(str(item) for item in value)
            lines.append(f'{option} = {value}')
        lines.append('')
    return '\n'.join(lines)


def merge(*layers: Options) -> dict[str, dict[str, object]]:
    """Return all options; a later layer's value wins."""
    merged: dict[str, dict[str, object]] = {}
    for layer in layers:
        for group, values in layer.items():
            merged.setdefault(group, {}).update(values)
    return merged


def service(directory: Path, url: str) -> Options:
    """Return what Glance needs anywhere.

    :param directory: of its database, staging and task files
    :param url: of this API
    """
    return {
        'DEFAULT': {
            'debug': True,
            'use_stderr': True,
            'default_log_levels': 'sqlalchemy=WARN,stevedore=WARN,'
            'keystonemiddleware=WARN,keystoneauth=WARN,urllib3=WARN,'
            # else all options, for every worker at every start
            'glance.common.config=INFO,'
            'oslo_policy=WARN,oslo_messaging=WARN,routes=WARN',
            'enabled_import_methods': IMPORT_METHODS,
            'show_image_direct_url': True,
            'show_multiple_locations': True,
            'worker_self_reference_url': url,
            'image_cache_dir': directory / 'cache',
        },
        'database': {
            # in seconds, for another process's transaction to end
            'connection': f'sqlite:///{directory}/glance.db?timeout=60',
            'sqlite_synchronous': False,
        },
        'os_glance_staging_store': {
            'filesystem_store_datadir': directory / 'staging'
        },
        'os_glance_tasks_store': {
            'filesystem_store_datadir': directory / 'tasks'
        },
        'task': {'work_dir': directory / 'tasks'},
        'oslo_concurrency': {'lock_path': directory / 'locks'},
        # Loopback is refused unless it is named, and by default any port
        # but 80 and 443.
        'import_filtering_opts': {
            'allowed_hosts': '[127.0.0.1]',
            'allowed_ports': '[]',
        },
        'paste_deploy': {
            'flavor': 'keystone',
            'config_file': directory / 'glance-api-paste.ini',
        },
    }


def authtoken(auth_url: str, env: Mapping[str, str]) -> Options:
    """Return how Glance validates tokens, as the user of `env`."""
    return {
        'keystone_authtoken': {
            'auth_type': 'password',
            'auth_url': auth_url,
            'www_authenticate_uri': auth_url,
            'username': env['OS_USERNAME'],
            'password': env['OS_PASSWORD'],
            'user_domain_id': env['OS_USER_DOMAIN_ID'],
            'project_name': env['OS_PROJECT_NAME'],
            'project_domain_id': env['OS_PROJECT_DOMAIN_ID'],
            'service_token_roles': 'service',
            'service_token_roles_required': True,
        }
    }


def stores(directory: Path, kinds: Mapping[str, str]) -> Options:
    """Return the stores of Glance.

    :param kinds: name to driver, e.g. {'fast': 'file'}
    """
    enabled = [f'{name}:{kind}' for name, kind in kinds.items()]
    files = {
        name: {'filesystem_store_datadir': directory / name}
        for name, kind in kinds.items()
        if kind == 'file'
    }
    return {
        'DEFAULT': {'enabled_backends': enabled},
        'glance_store': {'default_backend': CEPH},
        **files,
    }


def rbd(name: str, pool: str, user: str, conf: Path) -> Options:
    """Return the options of one store in Ceph, ours included."""
    return {
        name: {
            'rbd_store_pool': pool,
            'rbd_store_user': user,
            'rbd_store_ceph_conf': conf,
        }
    }


def plugins(names: list[str]) -> Options:
    """Return the import plugins of Glance."""
    quoted = ','.join(f"'{name}'" for name in names)
    return {'image_import_opts': {'image_import_plugins': f'[{quoted}]'}}


def pipeline(filters: Mapping[str, str]) -> str:
    """Return Glance's own api-paste.ini with filters put in.

    :param filters: name to its factory as paste loads it, module:function;
        they stand behind the context, so they know who is calling, and
        before the image cache
    """
    text = _shipped('glance-api-paste.ini').read_text()
    names = ' '.join(filters)
    text, found = re.subn(
        r'(?m)^(keystone\S* = .* context) (.*rootapp)$',
        rf'\1 {names} \2' if filters else r'\g<0>',
        text,
    )
    if found != 3:
        raise LookupError('glance-api-paste.ini has other pipelines')
    for name, factory in filters.items():
        text += f'\n[filter:{name}]\npaste.filter_factory = {factory}\n'
    return text


def _shipped(name: str) -> Path:
    """Find a file that comes with the installed Glance."""
    for file in importlib.metadata.files('glance') or []:
        if file.name == name:
            return Path(str(file.locate()))
    raise LookupError(f'{name} does not come with the installed Glance')
