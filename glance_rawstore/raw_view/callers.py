# SPDX-License-Identifier: Apache-2.0
"""Who is asking: a service that clones, or anybody else. Pure functions.

What counts are the headers that keystonemiddleware sets after it has
validated the tokens. It removes those that a client sends itself; where it
does not run at all, nobody is a service.
"""

import dataclasses
import enum
import hashlib
from collections.abc import Collection, Mapping
from typing import Any

#: The role that service users have (``service_token_roles`` of
#: keystonemiddleware).
ROLE = 'service'
#: Set in the environment by keystonemiddleware alone; no header leads there.
_VALIDATED = 'keystone.token_auth'


#: By which Nova and Cinder are known in all calls for one server or volume:
#: the id of the request that their own user made (``global_request_id``).
_REQUEST_ID = 'HTTP_X_OPENSTACK_REQUEST_ID'
_AUTH = 'HTTP_X_AUTH_TOKEN'
#: Characters of an id that are looked at.
_LENGTH = 64


@dataclasses.dataclass(frozen=True)
class Consumer:
    """On whose behalf a service asks, as far as it says so.

    :param request_id: of the request that it works on, or empty
    :param name: by which its calls are known: the same, or one that is made
        of its token, which others may use at the same time; empty without
        either
    """

    request_id: str
    name: str


class Audience(enum.Enum):
    """Who asks, by what there is to show.

    Raw copies to those who clone; bare originals to services that do not;
    to tenants, and to all others, originals and how far their copies are.
    """

    CLONING = enum.auto()
    SERVICE = enum.auto()
    TENANT = enum.auto()


def is_service(environ: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a service of that name asks, for a user or for itself.

    :param environ: WSGI environment, behind ``authtoken``
    :param names: names of users that count
    """
    if _VALIDATED not in environ:
        return False
    return any(
        _is_named(environ, prefix, names)
        for prefix in ('HTTP_X_SERVICE_', 'HTTP_X_')
    )


def _is_named(
    environ: Mapping[str, Any], prefix: str, names: Collection[str]
) -> bool:
    """Look at one token of the two: the service token or the main one."""
    roles = str(environ.get(f'{prefix}ROLES', '')).casefold().split(',')
    return (
        environ.get(f'{prefix}IDENTITY_STATUS') == 'Confirmed'
        and ROLE in (role.strip() for role in roles)
        and environ.get(f'{prefix}USER_NAME') in names
    )


def consumer(environ: Mapping[str, Any]) -> Consumer:
    """On whose behalf a service asks.

    :param environ: WSGI environment, behind ``authtoken``
    """
    request_id = str(environ.get(_REQUEST_ID, ''))[:_LENGTH]
    if request_id:
        return Consumer(request_id, request_id)
    token = str(environ.get(_AUTH, ''))
    if not token:
        return Consumer('', '')
    digest = hashlib.sha256(token.encode()).hexdigest()
    return Consumer('', f'token {digest}')
