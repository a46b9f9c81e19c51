# SPDX-License-Identifier: Apache-2.0
"""Conversions that begin while their image is being stored."""

import contextlib
import dataclasses
import hashlib
import os
import threading
import time

import pytest

from glance_rawstore import attempts
from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import handover
from glance_rawstore import resuming
from glance_rawstore import slots
from glance_rawstore.lifecycle.states import Status
from glance_rawstore.staged import Staged
from glance_rawstore.tasks import early
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import head_start
from tests.contract.raw_pool import RawPoolContract
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.unit import headers
from tests.unit.tasks.conftest import ID
from tests.unit.tasks.conftest import ORIGINAL
from tests.unit.tasks.test_flow_imports import LOCKED
from tests.unit.tasks.test_flow_imports import STORING
from tests.unit.tasks.test_flow_imports import WANTED
from tests.unit.tasks.test_flow_imports import Import
from tests.waiting import DEADLINE
from tests.waiting import eventually

HASH = hashlib.sha512(ORIGINAL).hexdigest()


class Staging:
    """An import that stores a staged file, which the plugin holds.

    :ivar path: the file
    :ivar converted: set when qemu-img has ended for the first time
    """

    def __init__(self, work, directory):
        self.work = work
        self.path = directory / 'staged'
        self.path.write_bytes(ORIGINAL)
        self.converted = threading.Event()
        self.take = None

    def job(self):
        job = self.work.job()
        job.head_start = early.take(job, f'file://{self.path}')
        self.take = job.head_start
        return job

    def store(self, **facts):
        """The import ends well: that was stored."""
        stored = {'size': len(ORIGINAL), 'digest': HASH, **facts}
        self.work.catalog.change(
            ID, status='active', properties=WANTED, **stored
        )

    def run(self):
        flow.run(self.job())
        (task,) = self.work.catalog.tasks.values() or [None]
        return task

    def let_go(self):
        """Whether nothing is open or held any more."""
        opened = []
        for number in os.listdir('/proc/self/fd'):
            with contextlib.suppress(FileNotFoundError):
                opened.append(os.readlink(f'/proc/self/fd/{number}'))
        assert not [name for name in opened if str(self.path) in name]
        free = slots.at_once(str(self.work.scratch), 1)
        assert free is not None
        free.close()
        names = [thread.name for thread in threading.enumerate()]
        assert not [name for name in names if '_fill' in name]


@pytest.fixture
def staging(work, tmp_path):
    found = Staging(work, tmp_path)
    work.catalog.change(ID, status='importing', properties=STORING, size=0)
    yield found
    found.let_go()


def removes(staging):
    """Glance removes the staged file, and ends the import."""
    staging.path.unlink()
    staging.store()


def test_it_converts_what_is_staged_before_it_is_stored(work, staging):
    seen = []

    def during(_calls):
        seen.append((work.catalog.image(ID).status, work.location()))
        removes(staging)

    work.converter.during = during

    task = staging.run()

    assert seen == [('importing', None)]
    assert work.converter.source['file']['filename'].startswith('/proc/')
    assert len(work.converter.windows) == 1, 'and not once more'
    assert task.status == 'success'
    assert work.location()['status'] == 'active'
    RawPoolContract.check_intact(work.world, ID)


def test_nobody_hears_of_it_before_the_import_has_ended(work, staging):
    """No location, no task; and what is committed waits as well."""
    running = Import(work, (9, 'importing', STORING))

    def goes_on():
        eventually(
            lambda: (
                f'{ID}_raw.part' in work.world.names()
                and staging.take._threads
                and not staging.take._threads[0].is_alive()
            ),
            'it is converted',
        )
        assert work.catalog.tasks == {}
        assert work.location() is None
        assert work.world.names() == [f'{ID}_raw.part']
        staging.store()

    thread = threading.Thread(target=goes_on)
    thread.start()
    task = staging.run()
    thread.join(DEADLINE)

    assert running.seen[0] == (None, [])
    assert task.status == 'success'


def test_an_import_may_take_longer_than_its_conversion(work, staging):
    running = Import(
        work,
        (40, 'importing', STORING),
        (9, 'active', LOCKED),
        (0, 'active', WANTED),
    )
    work.catalog.change(ID, size=len(ORIGINAL), digest=HASH)

    assert staging.run().status == 'success'

    assert [location for location, _ in running.seen] == [None] * 3
    assert len(work.converter.windows) == 1


@pytest.mark.parametrize('status', ['queued', 'killed', 'deactivated'])
def test_nothing_is_left_of_an_import_that_fails(work, staging, status):
    Import(work, (9, 'importing', STORING), (0, status, WANTED))

    assert staging.run() is None

    work.assert_nothing_is_left()


def test_an_import_that_fails_stops_the_conversion(work, staging):
    stopped = []

    def during(calls):
        work.catalog.change(ID, status='queued', properties=WANTED)
        eventually(calls.stop, 'it shall stop')
        stopped.append(1)

    work.converter.during = during

    assert staging.run() is None

    assert stopped == [1]
    work.assert_nothing_is_left()


def test_nothing_is_left_of_an_image_that_is_deleted_meanwhile(work, staging):
    work.converter.during = lambda _: work.catalog.delete(ID)

    assert staging.run() is None

    work.assert_nothing_is_left()


def test_nothing_is_left_when_the_process_ends(work, staging):
    work.converter.during = lambda _: work.stop.set()

    assert staging.run() is None

    work.assert_nothing_is_left()


def overwritten(staging):
    with staging.path.open('r+b') as file:
        file.seek(4000)
        file.write(b'other')
    return staging.path.read_bytes()


def replaced(staging):
    other = staging.path.with_name('other')
    other.write_bytes(ORIGINAL[:-1] + b'2')
    os.replace(other, staging.path)
    return staging.path.read_bytes()


def longer(staging):
    with staging.path.open('ab') as file:
        file.write(b'more')
    return staging.path.read_bytes()


@pytest.mark.parametrize('change', [overwritten, replaced, longer])
def test_what_another_plugin_has_changed_is_converted_once_more(
    work, staging, change
):
    """As it was stored, and nothing of what it was before."""
    sources = []

    def during(_calls):
        sources.append(work.converter.source['file']['filename'])
        if len(sources) == 1:
            stored = change(staging)
            work.catalog.bytes[ID] = stored
            digest = hashlib.sha512(stored).hexdigest()
            staging.store(size=len(stored), digest=digest)

    work.converter.during = during

    assert staging.run().status == 'success'

    assert len(sources) == 2
    RawPoolContract.check_intact(work.world, ID)


def test_a_change_behind_the_hash_is_noticed(work, staging, monkeypatch):
    """What was hashed would be what was stored, but not what was read."""
    digest = convert.digest

    def late(*args):
        overwritten(staging)
        return digest(*args)

    monkeypatch.setattr(convert, 'digest', late)
    stored = bytearray(ORIGINAL)
    stored[4000:4005] = b'other'
    found = hashlib.sha512(stored).hexdigest()
    work.catalog.bytes[ID] = bytes(stored)
    runs = []

    def during(_calls):
        runs.append(1)
        staging.store(digest=found)

    work.converter.during = during

    assert staging.run().status == 'success'
    assert len(runs) == 2


def test_a_format_that_another_plugin_has_changed_needs_no_copy(work, staging):
    work.converter.during = lambda _: staging.store(disk_format='raw')

    task = staging.run()

    assert (task.status, task.message) == (
        'success',
        'A raw image needs no raw copy.',
    )
    work.assert_nothing_is_left()


def test_what_is_refused_is_refused_again_for_all_to_see(work, staging):
    hostile = headers.qcow2(backing_offset=512).ljust(5000, b'\1')
    staging.path.write_bytes(hostile)
    work.catalog.bytes[ID] = hostile
    Import(work, (3, 'importing', STORING), (0, 'active', WANTED))
    work.catalog.change(ID, size=len(hostile))

    task = staging.run()

    assert task.status == 'failure'
    assert 'has a backing file' in task.message
    assert work.converter.source is None, 'qemu-img has not seen it'
    work.assert_nothing_is_left()


def test_what_fails_before_is_tried_again_when_it_is_stored(work, staging):
    runs = []

    def during(_calls):
        runs.append(1)
        staging.store()
        if len(runs) == 1:
            raise exceptions.Stalled('No progress.')

    work.converter.during = during

    assert staging.run().status == 'success'

    assert len(runs) == 2
    RawPoolContract.check_intact(work.world, ID)


def assert_its_task_failed(work):
    """That of a worker that was shut out; and its attempt counts."""
    (task,) = work.catalog.tasks.values()
    assert task.status == 'failure'
    assert task.message == exceptions.Blocklisted.sentence
    assert work.world.names() == [f'{ID}_raw.part']
    (known,) = attempts.read_all(work.world.pool.ioctx).values()
    assert (known.count, known.error) == (1, task.message)


def test_what_is_shut_out_before_is_left_to_others(work, staging):
    """The lease on it cannot be given up any more: it runs out."""

    def during(_calls):
        work.world.cluster.blocklist.add(job.pool.client.address)
        staging.store()

    work.converter.during = during
    before = {*threading.enumerate()}
    job = staging.job()
    flow.run(job)

    assert_its_task_failed(work)
    names = {thread.name for thread in {*threading.enumerate()} - before}
    assert 'rawstore-lease' not in names

    work.converter.during = lambda _: None
    work.world.pass_time(work.options.lease_duration + 1)
    flow.run(work.job())
    RawPoolContract.check_intact(work.world, ID)


def test_what_is_shut_out_as_it_begins_is_left_to_others(
    work, staging, monkeypatch
):
    """There is no task yet to be failed; but there will be."""

    def fenced(*_args):
        work.world.cluster.blocklist.add(job.pool.client.address)
        staging.store()
        raise exceptions.ConversionFailed('qemu-img was fenced.')

    monkeypatch.setattr(work.converter, 'info', fenced)
    job = staging.job()
    flow.run(job)

    assert_its_task_failed(work)


def test_who_is_shut_out_before_by_its_successor_has_not_failed(work, staging):
    """It hung until its lease had run out, and another began anew."""
    # on another node, where there is a slot
    directory = str(work.scratch.with_name('another'))
    options = dataclasses.replace(work.options, scratch_dir=directory)

    def during(_calls):
        work.converter.during = lambda _: None
        work.world.pass_time(work.options.lease_duration + 1)
        stored = work.catalog.bytes[ID] = longer(staging)
        digest = hashlib.sha512(stored).hexdigest()
        staging.store(size=len(stored), digest=digest)
        flow.run(dataclasses.replace(work.job(), options=options))
        work.world.cluster.blocklist.add(job.pool.client.address)

    work.converter.during = during
    job = staging.job()
    flow.run(job)

    messages = [task.message for task in work.catalog.tasks.values()]
    assert exceptions.CopyExists.sentence in messages
    assert {task.status for task in work.catalog.tasks.values()} == {'success'}
    assert attempts.read_all(work.world.pool.ioctx) == {}
    RawPoolContract.check_intact(work.world, ID)


@pytest.mark.parametrize(
    'step', flow.STEPS[3:], ids=lambda step: step.__name__
)
def test_nothing_is_left_whatever_step_fails(work, staging, step, monkeypatch):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(step, 'execute', broken)
    work.converter.during = lambda _: staging.store()

    assert staging.run().status == 'failure'

    work.assert_nothing_is_left()


def test_nothing_is_left_when_no_task_can_be_opened(
    work, staging, monkeypatch
):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(work.catalog, 'create_task', broken)
    work.converter.during = lambda _: staging.store()

    assert staging.run() is None

    work.assert_nothing_is_left()


def test_an_error_of_ours_leaves_it_to_the_usual_way(
    work, staging, monkeypatch, caplog
):
    def broken(*_args, **_kwargs):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Staged, 'source', broken)
        Import(work, (3, 'importing', STORING), (0, 'active', WANTED))
        work.catalog.change(ID, size=len(ORIGINAL), digest=HASH)
        task = staging.run()

    assert task.status == 'success'
    assert 'cannot be converted before it is stored' in caplog.text


def test_a_copy_that_is_there_stays(work, staging):
    work.world.copy(ID)
    Import(work, (3, 'importing', STORING), (0, 'active', WANTED))

    task = staging.run()

    assert 'already' in task.message
    RawPoolContract.check_intact(work.world, ID)


def test_the_slot_is_free_while_what_is_converted_waits(work, staging):
    running = Import(work, (60, 'importing', STORING))

    def goes_on():
        free = eventually(
            lambda: slots.at_once(str(work.scratch), 1), 'the slot is free'
        )
        free.close()
        assert running.left > 0
        staging.store()

    thread = threading.Thread(target=goes_on)
    job = staging.job()
    thread.start()
    flow.run(job)
    thread.join(DEADLINE)

    assert work.location()['status'] == 'active'


# Held beside the upload, and converted when Glance has let go of it


@pytest.fixture
def holding(work, staging, monkeypatch):
    """What is staged is converted when the upload has ended."""
    work.options = dataclasses.replace(work.options, staged='after')
    monkeypatch.setattr(head_start, '_OTHERS', 0.02)
    return staging


def test_it_is_converted_when_the_upload_has_ended(work, holding):
    """Before that nothing at all is done, but to look at it."""
    running = Import(work, (40, 'importing', STORING))
    seen = []

    def goes_on():
        eventually(lambda: running.left < 39, 'it is looked at')
        seen.append(len(work.converter.limits))
        seen.append(work.world.names())
        holding.path.unlink()
        eventually(lambda: work.converter.windows, 'it is converted')
        seen.append(running.left)
        holding.store()

    thread = threading.Thread(target=goes_on)
    job = holding.job()
    thread.start()
    flow.run(job)
    thread.join(DEADLINE)

    *before, left = seen
    assert before == [0, []]
    assert left > 0, 'and not when its image was seen to be active'
    assert work.location()['status'] == 'active'
    assert work.converter.source['file']['filename'].startswith('/proc/')
    assert len(work.converter.windows) == 1
    RawPoolContract.check_intact(work.world, ID)


def test_it_is_converted_too_where_its_name_stays(work, holding):
    """As where another plugin has put something beside it."""
    Import(work, (9, 'importing', STORING), (0, 'active', WANTED))
    work.catalog.change(ID, size=len(ORIGINAL), digest=HASH)

    assert holding.run().status == 'success'

    assert work.converter.source['file']['filename'].startswith('/proc/')


def test_who_waits_for_a_slot_gets_that_of_one_who_only_holds_it(
    work, holding
):
    running = Import(work, (60, 'importing', STORING))
    left = []

    def goes_on():
        eventually(lambda: running.left < 59, 'it is held')
        with slots.slot(str(work.scratch), 1, time.sleep):
            left.append(running.left)
        holding.store()

    thread = threading.Thread(target=goes_on)
    work.options = dataclasses.replace(work.options, max_conversions=1)
    job = holding.job()
    thread.start()
    flow.run(job)
    thread.join(DEADLINE)

    assert left[0] > 0, 'and not when the image was stored'
    assert job.head_start is None, 'it is converted from what was stored'
    assert work.location()['status'] == 'active'


def test_a_hash_that_finds_no_idle_core_is_not_waited_for(
    work, staging, monkeypatch
):
    """Then it is converted from what was stored."""
    stopped = []

    def starves(_path, _algorithm, limits, stop):
        assert limits.idle
        eventually(stop, 'nobody waits for it')
        stopped.append(1)
        raise stop()

    monkeypatch.setattr(convert, 'digest', starves)
    monkeypatch.setattr(head_start, '_PATIENCE', 0.1)
    Import(work, (3, 'importing', STORING), (0, 'active', WANTED))
    work.catalog.change(ID, size=len(ORIGINAL), digest=HASH)

    assert staging.run().status == 'success'

    assert stopped == [1]
    assert len(work.converter.windows) == 2


def test_nothing_is_left_when_what_was_held_is_not_stored(work, holding):
    Import(work, (9, 'importing', STORING), (0, 'queued', WANTED))

    assert holding.run() is None

    assert work.converter.windows == []
    work.assert_nothing_is_left()


def test_none_is_begun_without_a_free_slot(work, staging):
    with slots.at_once(str(work.scratch), 1):
        assert staging.job().head_start is None


def test_none_is_begun_where_nothing_hashes_as_glance_does(work, staging):
    work.catalog.hashing_algorithm = 'sha3_512'

    assert staging.job().head_start is None


def test_none_is_begun_where_it_is_switched_off(work, staging):
    work.options = dataclasses.replace(work.options, staged='never')

    assert staging.job().head_start is None


@pytest.mark.parametrize(('cores', 'beside'), [(2, False), (4, True)])
def test_an_upload_is_not_held_up_unless_three_cores_are_idle(
    work, staging, monkeypatch, cores, beside
):
    work.options = dataclasses.replace(work.options, staged='auto')
    monkeypatch.setattr(early.staged, 'load', lambda: (cores, 0.5))

    staging.job()

    assert staging.take._beside is beside
    staging.take.stop()


def test_none_is_begun_where_the_file_is_not(work, staging):
    staging.path.unlink()

    assert staging.job().head_start is None


# Slices, and workers that go on


@pytest.fixture
def sliced(work, staging, monkeypatch):
    """An image of two slices."""
    monkeypatch.setattr(resuming, '_MOMENT', 0.0)
    work.options = dataclasses.replace(work.options, slice_size=len(DATA))
    work.converter.data = DATA.ljust(SIZE // 2, b'\0') + DATA
    monkeypatch.setattr(
        work.converter, 'allocated', lambda source, offset, length: len(DATA)
    )
    monkeypatch.setattr(
        work.converter,
        'info',
        lambda source, size=None: type(
            'Info', (), {'virtual_size': SIZE, 'allocated': 2 * len(DATA)}
        ),
    )
    return staging


def kept(work):
    return resuming.saved(work.world.pool, work.world.part_id(ID))


def test_slices_count_once_it_is_known_what_they_are_of(work, sliced):
    """Under the same name that a worker has who reads what was stored."""
    known = []

    def during(_calls):
        if len(work.converter.windows) == 2:
            sliced.store()
            eventually(
                lambda: kept(work).source == work.catalog.image(ID).content,
                'it is known',
            )
            known.append(kept(work).done)

    work.converter.during = during

    assert sliced.run().status == 'success'
    assert known == [1]


@pytest.mark.parametrize(
    ('choice', 'idle'), [('always', True), ('after', False)]
)
def test_beside_an_upload_it_is_hashed_by_idle_cores_only(
    work, staging, monkeypatch, choice, idle
):
    """Who converts must get on, as somebody else may wait for his slot."""
    hashing, digest = [], convert.digest

    def recorded(path, algorithm, limits, stop):
        hashing.append(limits.idle)
        return digest(path, algorithm, limits, stop)

    monkeypatch.setattr(convert, 'digest', recorded)
    monkeypatch.setattr(head_start, '_OTHERS', 0.02)
    work.options = dataclasses.replace(work.options, staged=choice)
    Import(work, (3, 'importing', STORING), (0, 'active', WANTED))
    work.catalog.change(ID, size=len(ORIGINAL), digest=HASH)

    assert staging.run().status == 'success'

    assert hashing == [idle]
    assert not any(limits.idle for limits in work.converter.limits)


def test_nobody_goes_on_before_it_is_known_what_they_are_of(
    work, sliced, monkeypatch
):
    hashing = threading.Event()
    digest = convert.digest
    seen = []

    def late(*args):
        assert hashing.wait(DEADLINE)
        return digest(*args)

    monkeypatch.setattr(convert, 'digest', late)

    def during(_calls):
        if len(work.converter.windows) == 2:
            seen.append(kept(work))
            sliced.store()
            hashing.set()

    work.converter.during = during

    assert sliced.run().status == 'success'

    (found,) = seen
    assert found.done == 1
    assert found.source != work.catalog.image(ID).content
    assert found.source


def test_a_process_that_ends_hands_over_what_was_stored(work, sliced):
    agent = handover.Presence(work.world.other_node().ioctx)
    agent.show()

    def during(_calls):
        if len(work.converter.windows) == 2:
            sliced.store()
            eventually(lambda: work.location(), 'it is on the image')
            work.stop.set()

    work.converter.during = during
    task = sliced.run()
    (task_id,) = work.catalog.tasks
    assert task.message == 'Waiting for another worker to go on.'
    work.stop.clear()
    work.converter.during = lambda calls: None
    work.converter.windows.clear()

    job = work.job()
    job.task_id = task_id
    flow.run(job)
    agent.leave()

    assert work.converter.windows == [(SIZE // 2, SIZE // 2)]
    assert task.status == 'success'
    assert task.result['resumed_at_percent'] == 50
    assert work.world.pool.status(ID) is Status.ACTIVE
