# SPDX-License-Identifier: Apache-2.0
"""The import plugin: it looks, starts a thread, and harms no import."""

import os
import tempfile
import threading
import types

import pytest
from oslo_config import cfg
from taskflow import engines
from taskflow import task
from taskflow.patterns import linear_flow

from glance_rawstore.tasks import flow
from glance_rawstore.tasks import plugin
from tests.unit import configured
from tests.unit.tasks.conftest import ID
from tests.waiting import DEADLINE
from tests.waiting import eventually

CONTEXT = types.SimpleNamespace(user_id='user', request_id='request')


@pytest.fixture
def started(work, tmp_path, monkeypatch):
    """Jobs that were started, in a Glance with a raw store."""
    jobs = []
    monkeypatch.setattr(plugin.JOBS, 'start', jobs.append)
    monkeypatch.setattr(plugin, 'Catalog', lambda conf: work.catalog)
    ours = '    [glance_rawstore]\n    convert_staged = always\n'
    conf = configured.read(tmp_path, configured.USUAL + ours)
    monkeypatch.setattr(cfg, 'CONF', conf)
    monkeypatch.setattr(tempfile, 'tempdir', str(tmp_path))
    return jobs


class VerifyStaging(task.Task):
    """As Glance's step before all plugins."""

    default_provides = 'file_path'

    def __init__(self, uri):
        super().__init__()
        self.uri = uri

    def execute(self):
        return self.uri


def imported(uri=None, backends=None):
    """Run the plugin's part of an import, as Glance does."""
    found = plugin.get_flow(
        task_id='task',
        task_type='api_image_import',
        image_id=ID,
        context=CONTEXT,
        backend=backends,
    )
    before = [VerifyStaging(uri)] if uri else []
    engines.run(linear_flow.Flow('import').add(*before, found))


def test_a_wish_starts_a_conversion(started):
    imported()

    (job,) = started
    assert job.image_id == ID
    assert job.store.name == 'raw'
    assert list(job.all_stores) == ['ceph', 'raw']
    assert job.requester.user_id == 'user'
    assert job.requester.request_id == 'request'
    assert job.stop is plugin.JOBS.stopping


@pytest.fixture
def staged(tmp_path):
    """URI of a staged file."""
    path = tmp_path / 'staged'
    path.write_bytes(b'staged')
    return f'file://{path}'


def test_the_staged_file_is_held_when_it_is_here(started, staged):
    imported(staged, ['ceph'])

    (job,) = started
    assert job.head_start is not None
    job.head_start.stop()


@pytest.mark.parametrize('properties', [{'raw_cache': 'perhaps'}])
def test_it_is_not_held_for_a_wish_that_cannot_be_read(
    started, staged, work, properties
):
    work.catalog.change(ID, properties=properties)

    imported(staged)

    assert started[0].head_start is None


@pytest.mark.parametrize(
    'facts', [{'disk_format': 'raw'}, {'container_format': 'ova'}]
)
def test_it_is_not_held_for_what_is_not_converted(
    started, staged, work, facts
):
    work.catalog.change(ID, **facts)

    imported(staged)

    assert started[0].head_start is None


def test_it_is_not_held_where_the_import_makes_the_copy_itself(
    started, staged
):
    imported(staged, ['ceph', 'raw'])

    assert started[0].head_start is None


def test_an_image_is_converted_though_its_staged_file_cannot_be(
    started, staged, work, tmp_path, caplog
):
    """The usual way, which tells the tenant what is wrong."""
    (tmp_path / f'glance-rawstore-{os.geteuid()}').touch()

    imported(staged)

    (job,) = started
    assert job.head_start is None
    assert 'when it is stored' in caplog.text


def test_jobs_are_waited_for_though_one_could_not_be_started(
    work, monkeypatch
):
    jobs = plugin.Jobs()

    def refused(_self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, 'start', refused)
        with pytest.raises(RuntimeError):
            jobs.start(work.job())

    jobs.stop()


def test_it_is_let_go_when_no_thread_can_be_started(
    started, staged, monkeypatch
):
    jobs = []

    def broken(job):
        jobs.append(job)
        raise RuntimeError

    monkeypatch.setattr(plugin.JOBS, 'start', broken)

    imported(staged)

    assert jobs[0].head_start._slots._of_node.closed


@pytest.mark.parametrize('value', ['true', 'perhaps'])
def test_a_wish_that_cannot_be_read_is_answered_by_a_task(
    started, work, value
):
    work.catalog.change(ID, properties={'raw_cache': value})

    imported()

    assert len(started) == 1


@pytest.mark.parametrize(
    'properties', [{}, {'raw_cache': 'false'}, {'raw_cache_weight': '3'}]
)
def test_no_wish_starts_nothing(started, work, properties):
    work.catalog.change(ID, properties=properties)

    imported()

    assert started == []


def test_an_image_that_is_gone_starts_nothing(started, work):
    work.catalog.images.clear()

    imported()

    assert started == []


def test_no_raw_store_is_logged_and_no_failure(
    started, monkeypatch, tmp_path, caplog
):
    text = '[DEFAULT]\nenabled_backends = ceph:rbd\n'
    monkeypatch.setattr(cfg, 'CONF', configured.read(tmp_path, text))

    imported()

    assert started == []
    assert 'no store with the driver rawrbd' in caplog.text


def test_an_error_of_ours_does_not_fail_the_import(
    started, monkeypatch, caplog
):
    def broken(_conf):
        raise ZeroDivisionError

    monkeypatch.setattr(plugin, 'Catalog', broken)

    imported()

    assert started == []
    assert f'No raw copy of image {ID} can be made' in caplog.text


@pytest.fixture
def jobs(monkeypatch):
    """Jobs of another process, so to speak, which are left alone at exit."""
    monkeypatch.setattr(plugin.atexit, 'register', lambda _: None)
    return plugin.Jobs()


def test_a_conversion_runs_in_a_thread_of_its_own(work, jobs, monkeypatch):
    ran = []
    monkeypatch.setattr(
        flow, 'run', lambda job: ran.append(threading.current_thread())
    )

    jobs.start(work.job())

    eventually(lambda: ran, 'it runs')
    assert ran[0] is not threading.current_thread()
    assert ran[0].daemon, 'no process is held up by it'
    ran[0].join(DEADLINE)


def test_a_process_that_ends_stops_its_conversions(work, jobs):
    """And waits until they have been undone."""
    inside, work.stop = threading.Event(), jobs.stopping

    def during(_calls):
        inside.set()
        assert jobs.stopping.wait(DEADLINE)

    work.converter.during = during
    jobs.start(work.job())
    assert inside.wait(DEADLINE)

    jobs.stop()

    (task,) = work.catalog.tasks.values()
    assert task.status == 'failure'
    assert 'restart of the image service' in task.message
    work.assert_nothing_is_left()


def test_stopping_without_conversions_does_not_wait(jobs):
    jobs.stop()

    assert jobs.stopping.is_set()
