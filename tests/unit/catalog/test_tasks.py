# SPDX-License-Identifier: Apache-2.0
"""What a look at many images' tasks finds, in Glance's own tables."""

import datetime
import itertools

import pytest
from glance.context import RequestContext
from glance.db.sqlalchemy import api as database
from glance.db.sqlalchemy import models
from oslo_config import cfg
from oslo_db import options
from oslo_utils import timeutils

from glance_rawstore.catalog import Catalog
from glance_rawstore.catalog import tasks

HOUR = datetime.timedelta(hours=1)

COPY = {'import_req': {'method': {'name': 'raw-cache'}}}
IMPORT = {'import_req': {'method': {'name': 'glance-direct'}}}


@pytest.fixture
def catalog(tmp_path):
    """A catalog of a Glance on SQLite that is empty."""
    conf = cfg.CONF
    conf.register_opts(options.database_opts, 'database')
    url = f'sqlite:///{tmp_path}/glance.db'
    conf.set_override('connection', url, 'database')
    database.clear_db_env()
    models.register_models(database.get_engine())
    yield Catalog(conf)
    database.clear_db_env()
    conf.clear_override('connection', 'database')


@pytest.fixture
def enter():
    """Enters tasks, each a second younger than the one before."""
    born = timeutils.utcnow().replace(microsecond=0) - HOUR
    numbers = itertools.count(1)

    def enter(image_id, status='failure', task_input=COPY, **values):
        number = next(numbers)
        task = {
            'id': f'task-{number}',
            'type': 'api_image_import',
            'status': status,
            'owner': 'owner',
            'image_id': image_id,
            'input': task_input,
            'created_at': born + datetime.timedelta(seconds=number),
            **values,
        }
        database.task_create(RequestContext(is_admin=True), task)

    return enter


def test_each_image_has_the_status_of_its_newest_task(catalog, enter):
    enter('a', 'failure')
    enter('b', 'failure')
    enter('a', 'processing')

    found = catalog.copy_task_statuses(['a', 'b', 'c'])

    assert found == {'a': 'processing', 'b': 'failure'}


def test_tasks_of_other_images_are_not_told(catalog, enter):
    enter('a')

    assert catalog.copy_task_statuses(['b']) == {}


@pytest.mark.parametrize('task_input', [IMPORT, {}, {'import_req': 'x'}, None])
def test_tasks_that_are_not_about_a_copy_do_not_count(
    catalog, enter, task_input
):
    enter('a', 'failure')
    enter('a', 'success', task_input)

    assert catalog.copy_task_statuses(['a']) == {'a': 'failure'}


def test_tasks_that_have_expired_or_are_deleted_do_not_count(catalog, enter):
    now = timeutils.utcnow()
    enter('a', expires_at=now - HOUR)
    enter('b', deleted=True, deleted_at=now)
    enter('c', expires_at=now + HOUR)

    found = catalog.copy_task_statuses(['a', 'b', 'c'])

    assert found == {'c': 'failure'}


def test_it_finds_what_a_look_at_each_image_finds(catalog, enter):
    """By Glance's own function, which takes one image at a time."""
    for image_id in ('a', 'b', 'a', 'c', 'b'):
        enter(image_id, 'processing')
        enter(image_id, 'success', IMPORT)
    images = ['a', 'b', 'c']

    alone = {i: catalog.copy_tasks(i)[0].status for i in images}

    assert catalog.copy_task_statuses(images) == alone


def test_many_images_are_asked_for_in_parts(catalog, enter, monkeypatch):
    monkeypatch.setattr(tasks, 'PAGE', 2)
    images = ['a', 'b', 'c', 'd', 'e']
    for image_id in images:
        enter(image_id)

    found = catalog.copy_task_statuses(images)

    assert found == dict.fromkeys(images, 'failure')


def test_nothing_is_written(catalog, enter):
    """Glance's own look deletes what has expired."""
    enter('a', expires_at=timeutils.utcnow() - HOUR)

    catalog.copy_task_statuses(['a'])

    with database.session_for_read() as session:
        assert not session.query(models.Task).one().deleted
