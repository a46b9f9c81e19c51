# SPDX-License-Identifier: Apache-2.0
"""What we lean on in glance_store and Glance is still as we know it.

Tested with glance 33.0.0 and glance_store 5.7.0. What fails here after an
upgrade is to be looked at in store.py (the driver) or catalog.py (Glance).
"""

import ast
import inspect
import types
from unittest import mock

import glance.context
import glance.db
import glance.domain
import glance.gateway
import glance.notifier
import glance_store
import pytest
import sqlalchemy
from glance.async_ import taskflow_executor
from glance.async_.flows import api_image_import
from glance.common import config as glance_config
from glance.common import crypt
from glance.common import exception
from glance.common import utils
from glance.common import wsgi_app
from glance.db.sqlalchemy import api as database
from glance.db.sqlalchemy import models
from glance_store import driver
from glance_store._drivers import rbd
from oslo_config import cfg
from sqlalchemy import orm

from glance_rawstore import catalog
from glance_rawstore import store
from glance_rawstore.catalog import images
from glance_rawstore.catalog import process


def declared(cls):
    """The parameters of a class's methods as written, below decorators."""
    tree = ast.parse(inspect.getsource(cls)).body[0]
    return {
        node.name: ast.unparse(node.args)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize(
    ('method', 'parameters'),
    [
        (
            'add',
            'self, image_id, image_file, image_size, hashing_algo, '
            'context=None, verifier=None',
        ),
        ('get', 'self, location, offset=0, chunk_size=None, context=None'),
        ('get_size', 'self, location, context=None'),
        ('delete', 'self, location, context=None'),
        ('get_connection', 'self, conffile, rados_id'),
        ('get_schemes', 'self'),
        ('configure_add', 'self'),
    ],
)
def test_the_parents_methods_take_what_they_took(method, parameters):
    assert declared(rbd.Store)[method] == parameters


def test_configure_is_still_that_of_all_drivers():
    assert declared(driver.Store)['configure'] == 'self, re_raise_bsc=False'
    assert 'configure' not in declared(rbd.Store)


def parameters(method):
    """Names only: ours have types besides."""
    tree = ast.parse(f'def f({declared(store.Store)[method]}): pass')
    return [argument.arg for argument in tree.body[0].args.args]


@pytest.mark.parametrize('method', ['add', 'get', 'get_size', 'delete'])
def test_our_driver_takes_what_the_parent_takes(method):
    theirs = ast.parse(f'def f({declared(rbd.Store)[method]}): pass')

    assert parameters(method) == [a.arg for a in theirs.body[0].args.args]


def test_the_store_has_a_weight_of_its_own_and_ours_is_below():
    (theirs,) = (
        opt
        for opt in driver.Store.MULTI_BACKEND_OPTIONS
        if opt.dest == 'weight'
    )
    (ours,) = (
        opt
        for opt in store.Store.MULTI_BACKEND_OPTIONS
        if opt.dest == 'weight'
    )

    assert theirs.default == 0, 'we must not change it for others'
    assert ours.default < theirs.default


def test_the_drivers_options_are_the_parents_and_ours():
    names = {opt.dest for opt in store.Store.OPTIONS}

    assert names >= {opt.dest for opt in rbd.Store.OPTIONS}
    assert names >= {
        'rbd_store_pool',
        'rbd_store_user',
        'rbd_store_ceph_conf',
        'rbd_store_chunk_size',
        'rados_connect_timeout',
        'raw_copy_weight',
        'raw_copy_node_weights',
        'raw_cache_use_half_life',
    }


def test_the_class_of_locations_is_where_glance_store_looks():
    assert store.StoreLocation is rbd.StoreLocation
    assert store.Store.__module__ == store.__name__


def test_the_driver_is_found_by_url_and_by_name():
    schemes = store.Store.get_schemes(mock.Mock())

    assert schemes == ('rbd', 'rawrbd')


@pytest.mark.parametrize(
    ('function', 'parameters'),
    [
        (database.image_get, '(context, image_id, '),
        (database.image_get_all, '(context, filters=None, marker=None, '),
        (
            database.image_update,
            '(context, image_id, values, purge_props=False, ',
        ),
        (database.image_property_delete, '(context, prop_ref, image_ref)'),
        (database.task_get, '(context, task_id, '),
        (database.task_get_all, '(context, filters=None, marker=None, '),
        (database.tasks_get_by_image, '(context, image_id)'),
        (glance_config.set_config_defaults, '()'),
        (glance.notifier.set_defaults, "(control_exchange='glance')"),
        (
            glance.notifier._send_notification,
            '(notify, notification_type, payload)',
        ),
        (glance.notifier.Notifier.warn, '(self, event_type, payload)'),
        (glance.notifier.Notifier.info, '(self, event_type, payload)'),
        (glance.notifier.Notifier.error, '(self, event_type, payload)'),
        (glance_store.register_store_opts, '(conf, reserved_stores=None)'),
        (glance_store.verify_store, '()'),
        (database.image_location_add, '(context, image_id, location)'),
        (database.image_location_update, '(context, image_id, location)'),
        (
            database.image_location_delete,
            '(context, image_id, location_id, status, ',
        ),
        (crypt.urlsafe_encrypt, '(key, plaintext, '),
        (crypt.urlsafe_decrypt, '(key, ciphertext)'),
        (utils.retry_on_db_lock, '(func, '),
        (glance.db.get_api, '()'),
        (glance.gateway.Gateway.get_repo, '(self, context)'),
        (glance.gateway.Gateway.get_task_repo, '(self, context)'),
        (glance.gateway.Gateway.get_task_factory, '(self, context)'),
        (
            glance.domain.TaskFactory.new_task,
            '(self, task_type, owner, image_id, user_id, request_id, '
            'task_input=None, **kwargs)',
        ),
        (glance.domain.Task.begin_processing, '(self)'),
        (glance.domain.Task.succeed, '(self, result)'),
        (glance.domain.Task.fail, '(self, message)'),
    ],
    ids=lambda value: getattr(value, '__name__', ''),
)
def test_glances_functions_take_what_they_took(function, parameters):
    assert str(inspect.signature(function)).startswith(parameters)


def test_a_gateway_and_a_context_of_an_admin_can_be_made():
    inspect.signature(glance.gateway.Gateway).bind(notifier=None)
    context = glance.context.RequestContext(
        is_admin=True, roles=['admin'], overwrite=False
    )

    assert context.is_admin


def test_images_have_the_columns_that_we_read():
    image = set(models.Image.__table__.columns.keys())
    location = set(models.ImageLocation.__table__.columns.keys())
    prop = set(models.ImageProperty.__table__.columns.keys())

    assert image >= {
        *('id', 'status', 'deleted', 'disk_format', 'container_format'),
        *('size', 'virtual_size', 'owner'),
    }
    assert location >= {'id', 'value', 'meta_data', 'status'}
    assert prop >= {'name', 'value', 'deleted'}


def test_the_reserved_stores_are_those_of_glance():
    assert wsgi_app.RESERVED_STORES == process._RESERVED


def test_tasks_have_the_columns_that_we_read():
    task = set(models.Task.__table__.columns.keys())

    assert task >= {
        *('id', 'type', 'status', 'image_id', 'created_at', 'updated_at'),
        *('deleted', 'request_id'),
    }


def test_errors_that_we_expect_of_glance_exist():
    assert issubclass(exception.NotFound, Exception)
    assert issubclass(exception.InvalidTaskStatusTransition, Exception)


def task(**kwargs):
    return glance.domain.TaskFactory().new_task(
        task_type='api_image_import',
        owner='owner',
        image_id='image',
        user_id='user',
        request_id='request',
        task_input={'image_id': 'image'},
        **kwargs,
    )


def test_a_task_of_the_type_of_imports_takes_our_message():
    found = task(message='Waiting to make a raw copy.')

    assert found.status == 'pending'
    assert found.message == 'Waiting to make a raw copy.'
    assert found.image_id == 'image'


def test_a_task_goes_from_pending_to_its_end_as_we_have_it_go():
    found = task()

    found.begin_processing()
    found.message = 'Converting.'
    found.succeed({'image_id': 'image'})

    assert found.status == 'success'


def test_a_pending_task_can_fail_but_not_succeed():
    with pytest.raises(exception.InvalidTaskStatusTransition):
        task().succeed({})

    found = task()
    found.fail('Why.')

    assert (found.status, found.message) == ('failure', 'Why.')


def test_an_import_hands_plugins_what_ours_reads():
    executor = taskflow_executor.TaskExecutor(
        'context', 'task_repo', 'image_repo', 'image_factory'
    )
    imported = types.SimpleNamespace(
        task_id='task',
        type='api_image_import',
        task_input={'image_id': 'image', 'import_req': {}},
    )
    with mock.patch.object(
        taskflow_executor.driver, 'DriverManager'
    ) as manager:
        executor._get_flow(imported)

    handed = manager.call_args.kwargs['invoke_kwds']
    assert handed['image_id'] == 'image'
    assert handed['task_id'] == 'task'
    assert handed['task_type'] == 'api_image_import'
    assert handed['context'] == 'context'


def test_plugins_are_told_of_the_staged_file_and_of_the_stores():
    """The file by an earlier step, and before it is removed."""
    assert api_image_import._VerifyStaging.default_provides == 'file_path'
    source = inspect.getsource(api_image_import.get_flow)
    staged = source.index('flow.add(_VerifyStaging(')
    plugins = source.index('import_plugins.get_import_plugins(**kwargs)')
    stored = source.index('_ImportToStore(')
    removed = source.index('_DeleteFromFS(')
    assert staged < plugins < stored < removed
    assert "kwargs.get('backend'" in source


def test_glance_hashes_by_the_option_that_we_read():
    glance_config.set_config_defaults()

    assert catalog.Catalog(cfg.CONF).hashing_algorithm == 'sha512'


def test_an_import_notes_its_lock_and_its_stores_as_we_read_them():
    actions = api_image_import._ImportActions
    lock = inspect.getsource(
        api_image_import.ImportActionWrapper._assert_task_lock
    )

    assert actions.IMPORTING_STORES_KEY == images._IMPORTING_TO
    assert f"'{images._IMPORT_LOCK}'" in lock


def test_a_quota_counts_the_originals_size_for_each_location():
    """As the manual says; neither a location's status in its metadata nor
    what a copy uses is looked at.
    """
    engine = sqlalchemy.create_engine('sqlite://')
    models.BASE.metadata.create_all(engine)
    with orm.Session(engine) as session:
        for image_id, rows in (('one', ['active']), ('two', ['active'] * 2)):
            image = models.Image(
                id=image_id,
                owner='owner',
                size=700,
                status='active',
                visibility='private',
            )
            session.add(image)
            for number, status in enumerate([*rows, 'deleted']):
                image.locations.append(
                    models.ImageLocation(
                        value=f'x://{number}',
                        status=status,
                        meta_data={'status': 'pending'},
                    )
                )
        session.flush()

        used = database._image_get_disk_usage_by_owner(None, session, 'owner')

    assert used == 700 + 2 * 700
