# SPDX-License-Identifier: Apache-2.0
"""A real Keystone with a few tenants, on SQLite and loopback.

pifpaf's driver starts programs that Keystone no longer ships.
"""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import fixtures
import requests
import urllib3
from keystoneauth1 import identity
from keystoneauth1 import service_token
from keystoneauth1 import session
from keystoneclient.v3 import client

from tests.cloud import wsgi
from tests.processes import Daemon
from tests.processes import free_port
from tests.waiting import DEADLINE

REGION = 'RegionOne'
DOMAIN = 'default'

PREPARE = Path(__file__).with_name('keystone_db.py')


class User(NamedTuple):
    """What somebody is in Keystone."""

    project: str
    roles: tuple[str, ...]


# The services have the roles that DevStack gives them.
USERS: Mapping[str, User] = {
    'admin': User('admin', ('admin',)),
    'alice': User('alpha', ('member',)),
    'bob': User('beta', ('member',)),
    'glance': User('service', ('service',)),
    'cinder': User('service', ('service',)),
    'nova': User('service', ('service', 'admin')),
}

CONF = """\
[DEFAULT]
use_stderr = true
[database]
connection = sqlite:///{directory}/keystone.db?timeout=60
# makes the schema in 0.3 s instead of 1.5 s
sqlite_synchronous = false
[token]
provider = fernet
[fernet_tokens]
key_repository = {directory}/fernet
# else it looks into /etc/keystone, and ends when nobody has been there
[fernet_receipts]
key_repository = {directory}/fernet
[identity]
# the least that bcrypt takes; the default of 12 costs 0.2 s a log-in
password_hash_rounds = 4
"""


class Keystone(fixtures.Fixture):
    """Keystone with the users above.

    Setting it up only begins the start; ready() waits for it, so that other
    things can be started meanwhile.
    """

    def _setUp(self) -> None:
        self._directory = Path(self.useFixture(fixtures.TempDir()).path)
        self._settled = False
        self.port = free_port()
        conf = self._write_config()
        # -P: the module beside it is not Keystone.
        prepare = [sys.executable, '-P', str(PREPARE), str(conf)]
        prepare += [password('admin'), self.url, REGION]
        self._daemon = Daemon(
            'keystone',
            wsgi.in_turn(prepare, wsgi.uwsgi('keystone.wsgi.api', self.port)),
            self._directory / 'keystone.log',
            wsgi.environment(OS_KEYSTONE_CONFIG_FILES=str(conf)),
        )
        self.addCleanup(self._daemon.kill)

    @property
    def url(self) -> str:
        """Where clients authenticate (OS_AUTH_URL)."""
        return f'http://127.0.0.1:{self.port}/v3'

    def _write_config(self) -> Path:
        keys = self._directory / 'fernet'
        keys.mkdir(mode=0o700)
        # What keystone-manage fernet_setup would write in 1.8 s: a staged
        # key and a primary one, 32 random bytes each.
        for name in '0', '1':
            key = base64.urlsafe_b64encode(os.urandom(32))
            (keys / name).write_bytes(key)
        conf = self._directory / 'keystone.conf'
        conf.write_text(CONF.format(directory=self._directory))
        return conf

    def ready(self) -> None:
        """Wait until it is up and has its users.

        :raises ProcessError: with the tail of its log
        """
        if self._settled:
            return
        self._daemon.wait_until(lambda: wsgi.answers(self.url), DEADLINE)
        keystone = self._administrator()
        roles = {role.name: role for role in keystone.roles.list()}
        projects = {'admin': keystone.projects.find(name='admin')}
        for name, user in USERS.items():
            if name == 'admin':
                # made by the bootstrap
                continue
            if user.project not in projects:
                projects[user.project] = keystone.projects.create(
                    user.project, DOMAIN
                )
            account = keystone.users.create(
                name, domain=DOMAIN, password=password(name)
            )
            for role in user.roles:
                keystone.roles.grant(
                    roles[role], user=account, project=projects[user.project]
                )
        self._settled = True

    def grant(self, user: str, role: str) -> None:
        """Give a user one more role on its project."""
        keystone = self._administrator()
        keystone.roles.grant(
            keystone.roles.find(name=role),
            user=keystone.users.find(name=user),
            project=keystone.projects.find(name=USERS[user].project),
        )

    def register(self, kind: str, url: str, region: str = REGION) -> Any:
        """Enter a service of this kind, e.g. image, into the catalog.

        :returns: the endpoint, whose delete() takes it out again
        """
        keystone = self._administrator()
        if region not in {known.id for known in keystone.regions.list()}:
            keystone.regions.create(region)
        services = keystone.services.list(type=kind)
        if not services:
            services = [keystone.services.create(kind, type=kind)]
        return keystone.endpoints.create(
            services[0], url, 'public', region=region
        )

    def _administrator(self) -> Any:
        return client.Client(session=self.session('admin'))

    def session(
        self, user: str, service: str | None = None
    ) -> session.Session:
        """Return a session of a user.

        :param service: send this service user's token along, as Nova and
            Cinder do when they act for a user
        """
        auth = self._auth(user)
        if service is not None:
            auth = service_token.ServiceTokenAuthWrapper(
                user_auth=auth, service_auth=self._auth(service)
            )
        return session.Session(
            # else an answer that does not come would hang the run
            auth=auth,
            session=_transport(),
            timeout=DEADLINE,
        )

    def _auth(self, user: str) -> Any:
        return identity.V3Password(
            auth_url=self.url,
            username=user,
            password=password(user),
            user_domain_id=DOMAIN,
            project_name=USERS[user].project,
            project_domain_id=DOMAIN,
        )

    def env(self, user: str, region: str = REGION) -> dict[str, str]:
        """Return the variables by which OpenStack's commands log in."""
        return {
            'OS_AUTH_URL': self.url,
            'OS_IDENTITY_API_VERSION': '3',
            'OS_USERNAME': user,
            'OS_PASSWORD': password(user),
            'OS_USER_DOMAIN_ID': DOMAIN,
            'OS_PROJECT_NAME': USERS[user].project,
            'OS_PROJECT_DOMAIN_ID': DOMAIN,
            'OS_REGION_NAME': region,
        }


def _transport() -> requests.Session:
    """Return connections as any client makes them.

    uWSGI now and then closes one without an answer, on a machine with more
    work than processors; what may be repeated is then asked again.
    """
    again = urllib3.Retry(
        total=3,
        read=3,
        status=0,
        redirect=0,
        backoff_factor=0.5,
        allowed_methods={'GET', 'HEAD', 'DELETE'},
    )
    transport = requests.Session()
    transport.mount('http://', session.TCPKeepAliveAdapter(max_retries=again))
    return transport


def password(user: str) -> str:
    """Return the password of a user."""
    return f'{user}-secret'
