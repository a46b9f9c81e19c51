# SPDX-License-Identifier: Apache-2.0
"""What the raw view leans on outside is still as we know it.

Tested with glance 33.0.0, keystonemiddleware 12 and webob 1.8. What fails
here after an upgrade is to be looked at in glance_rawstore/raw_view.
"""

import configparser
import importlib.metadata
import inspect
from pathlib import Path
from unittest import mock

import glance.common.config
import pytest
import routes
import webob
from glance.api.v2 import images
from glance.api.v2 import router
from glance.db.sqlalchemy import api as database
from keystonemiddleware.auth_token import _request
from oslo_config import cfg

import glance_rawstore
from glance_rawstore.raw_view import callers
from glance_rawstore.raw_view.routes import classify

ID = '2b79f9a3-5f5c-4ba7-9a0c-1d7ce3ff9a10'
SAMPLE = Path(glance_rawstore.__file__).parents[1] / 'etc/glance-api-paste.ini'


# Glance


def pipelines(path):
    paste = configparser.ConfigParser()
    paste.read_string(path.read_text())
    return {
        flavor: names.split()
        for flavor, names in paste['composite:api'].items()
        if flavor.startswith('keystone')
    }


def shipped():
    """The paste file that Glance's package brings."""
    (found,) = (
        file.locate()
        for file in importlib.metadata.files('glance')
        if file.name == 'glance-api-paste.ini'
    )
    return Path(found)


def test_our_sample_pipelines_are_glances_with_the_filter_in_its_place():
    ours, theirs = pipelines(SAMPLE), pipelines(shipped())

    assert ours.keys() == theirs.keys()
    for flavor, names in ours.items():
        place = names.index('raw_view')
        assert names[place - 2 : place] == ['authtoken', 'context']
        assert names[:place] + names[place + 1 :] == theirs[flavor]


def routed(method, path):
    """What Glance's router does with a request."""
    mapper = routes.Mapper()
    with mock.patch.object(images, 'load_custom_properties', return_value={}):
        router.API(mapper)
    found = mapper.match(path, {'REQUEST_METHOD': method})
    return found and found['action']


@pytest.mark.parametrize(
    ('method', 'path', 'action'),
    [
        ('GET', '/images', 'index'),
        ('POST', '/images', 'create'),
        ('GET', f'/images/{ID}', 'show'),
        ('PATCH', f'/images/{ID}', 'update'),
        ('GET', f'/images/{ID}/locations', 'get_locations'),
        ('GET', f'/images/{ID}/file', 'download'),
    ],
)
def test_the_requests_that_we_change_are_where_they_were(method, path, action):
    assert routed(method, path) == action
    assert classify(method, f'/v2{path}') is not None


@pytest.mark.parametrize('part', ['', f'/{ID}', f'/{ID}/file'])
def test_no_head_is_answered_that_would_have_to_be_changed(part):
    assert routed('HEAD', f'/images{part}') in ('reject', None)


def test_no_other_request_answers_with_an_image_or_its_locations():
    """A new one would show services what the raw view hides."""
    serializer = images.ResponseSerializer

    assert {name for name in vars(serializer) if name[0] != '_'} == {
        *('create', 'show', 'update', 'index'),
        # None of these has an image in it.
        *('delete', 'delete_from_store', 'import_image', 'add_location'),
    }


def test_the_limits_of_a_list_are_options_of_these_names():
    glance.common.config.set_config_defaults()

    assert isinstance(cfg.CONF.limit_param_default, int)
    assert isinstance(cfg.CONF.api_limit_max, int)


def patched(body, version):
    """The paths of an update, as Glance reads them."""
    request = webob.Request.blank('/', method='PATCH', json=body)
    kind = f'application/openstack-images-v2.{version}-json-patch'
    request.content_type = kind
    changes = images.RequestDeserializer().update(request)['changes']
    return [change['path'] for change in changes]


@pytest.mark.parametrize('path', ['/a', '//a', '/ a\t', '// a '])
def test_glance_reads_the_path_of_a_change_as_generously_as_we_do(path):
    new = [{'op': 'add', 'path': path, 'value': 'x'}]
    old = [{'add': path, 'value': 'x'}]

    assert patched(new, 1) == [['a']]
    assert patched(old, 0) == [['a']]


def test_the_tasks_of_an_image_come_with_their_input():
    parameters = inspect.signature(database.tasks_get_by_image)

    assert str(parameters) == '(context, image_id)'
    info = {'input': {'x': 'y'}, 'result': None, 'message': ''}
    reference = dict.fromkeys(
        (
            *('id', 'type', 'status', 'owner', 'expires_at', 'created_at'),
            *('updated_at', 'deleted_at', 'deleted', 'image_id'),
            *('request_id', 'user_id'),
        )
    )
    assert database._task_format(reference, info)['input'] == {'x': 'y'}
    source = inspect.getsource(database._tasks_get_by_image)
    assert '_task_format(task_ref, task_ref.info)' in ' '.join(source.split())


# keystonemiddleware


def authenticated(**headers):
    """A request as keystonemiddleware hands it on, its tokens validated."""
    request = _request._AuthTokenRequest.blank('/', headers=headers)
    request.remove_auth_headers()
    return request


def token(name, *roles):
    return mock.Mock(
        username=name,
        role_names=roles,
        system_scoped=False,
        domain_id=None,
        project_id='p',
    )


def test_headers_that_a_client_forges_are_removed():
    names = ('Identity-Status', 'User-Name', 'Roles')
    forged = {f'X-{n}': 'service' for n in names}
    forged |= {f'X-Service-{n}': 'service' for n in names}

    request = authenticated(**forged)

    assert not [n for n in request.headers if n.startswith('X-')]


def test_a_service_token_is_told_by_the_headers_that_we_read():
    request = authenticated()
    request.set_service_headers(token('nova', 'service', 'reader'))
    request.service_token_valid = True
    before = callers.is_service(request.environ, ['nova'])

    request.token_auth = object()

    assert before is False
    assert callers.is_service(request.environ, ['nova'])
    assert not callers.is_service(request.environ, ['cinder'])


def test_a_main_token_is_told_by_the_headers_that_we_read():
    request = authenticated()
    with mock.patch.object(_request, '_is_admin_project', return_value='x'):
        request.set_user_headers(token('nova', 'service'))
    request.user_token_valid = True
    request.token_auth = object()

    assert callers.is_service(request.environ, ['nova'])


def test_a_token_that_is_not_valid_is_told_as_such():
    request = authenticated()
    request.set_service_headers(token('nova', 'service'))
    request.service_token_valid = False
    request.token_auth = object()

    assert not callers.is_service(request.environ, ['nova'])


# webob


class Ranged:
    """An application's iterator, as webob asks it for a part."""

    def __init__(self):
        self.asked = []

    def __iter__(self):
        yield b'0123456789'

    def app_iter_range(self, start, stop):
        self.asked.append((start, stop))
        return [b'part']


def test_a_conditional_response_asks_its_iterator_for_the_range():
    ranged = Ranged()
    answer = webob.Response(app_iter=ranged, conditional_response=True)
    answer.content_length = 10
    request = webob.Request.blank('/', headers={'Range': 'bytes=2-4'})

    got = request.get_response(answer)

    assert ranged.asked == [(2, 5)]
    assert got.status_int == 206
    assert got.headers['Content-Range'] == 'bytes 2-4/10'
    assert got.body == b'part'


def test_an_answer_is_not_read_before_somebody_wants_its_body():
    read = []

    def app(_environ, start_response):
        start_response('200 OK', [])

        def body():
            read.append(1)
            yield b'x'

        return body()

    answer = webob.Request.blank('/').get_response(app)

    assert read == []
    assert answer.body == b'x'
