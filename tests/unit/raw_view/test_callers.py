# SPDX-License-Identifier: Apache-2.0
"""Who counts as a service."""

import pytest

from glance_rawstore.raw_view import callers

NAMES = ['nova', 'cinder']


def user_token(name='alice', roles='member,reader', status='Confirmed'):
    """Headers that keystonemiddleware sets for the main token."""
    return {
        'HTTP_X_IDENTITY_STATUS': status,
        'HTTP_X_USER_NAME': name,
        'HTTP_X_ROLES': roles,
    }


def service_token(name='nova', roles='service', status='Confirmed'):
    """Headers that keystonemiddleware sets for the service token."""
    return {
        'HTTP_X_SERVICE_IDENTITY_STATUS': status,
        'HTTP_X_SERVICE_USER_NAME': name,
        'HTTP_X_SERVICE_ROLES': roles,
    }


def is_service(*tokens, validated=True):
    environ = {'keystone.token_auth': object()} if validated else {}
    for token in tokens:
        environ.update(token)
    return callers.is_service(environ, NAMES)


@pytest.mark.parametrize('name', NAMES)
def test_a_service_that_asks_for_a_user_counts(name):
    assert is_service(user_token(), service_token(name))


@pytest.mark.parametrize('name', NAMES)
def test_a_service_that_asks_for_itself_counts(name):
    assert is_service(user_token(name, 'service'))


@pytest.mark.parametrize(
    'roles', ['service', 'Service', 'admin,SERVICE', 'reader, service ,x']
)
def test_the_role_counts_in_any_case_and_among_others(roles):
    assert is_service(user_token(), service_token(roles=roles))


@pytest.mark.parametrize(
    'tokens',
    [
        [],
        [user_token()],
        [user_token('nova', 'member,admin')],
        [user_token('alice', 'service')],
        [user_token('glance', 'service')],
        [user_token(), service_token('alice')],
        [user_token(), service_token('ironic')],
        [user_token(), service_token(roles='member,admin')],
        [user_token(), service_token(roles='')],
        [user_token(), service_token(roles='services,no-service')],
        [user_token(), service_token(status='Invalid')],
        [user_token('nova', 'service', status='Invalid')],
        [user_token(), service_token('')],
        [user_token(), service_token('nova,cinder')],
        [user_token(), service_token('NOVA')],
    ],
)
def test_nobody_else_counts(tokens):
    assert not is_service(*tokens)


@pytest.mark.parametrize(
    'tokens',
    [
        # A service's name from one token and its role from the other.
        [user_token('nova', 'member'), service_token('alice', 'service')],
        [user_token('alice', 'service'), service_token('nova', 'member')],
        [user_token('nova', 'service', 'Invalid'), service_token('x')],
    ],
)
def test_one_token_must_say_all_of_it(tokens):
    assert not is_service(*tokens)


def test_headers_count_only_behind_authtoken():
    """Without it they are whatever the client wrote."""
    forged = [user_token('nova', 'service'), service_token()]

    assert not is_service(*forged, validated=False)
    assert is_service(*forged, validated=True)


def test_a_header_of_that_name_is_not_the_sign_of_authtoken():
    """WSGI servers put every header under HTTP_."""
    environ = {
        'HTTP_KEYSTONE.TOKEN_AUTH': 'x',
        **user_token(),
        **service_token(),
    }

    assert not callers.is_service(environ, NAMES)


def test_no_names_means_no_services():
    environ = {'keystone.token_auth': object(), **service_token()}

    assert not callers.is_service(environ, [])
