# SPDX-License-Identifier: Apache-2.0
"""Several workers write one copy, in whatever order things happen.

The real code of the owner and of its helpers, each in a thread of its own of
which one runs at a time: the test decides which, and for how long. They write
into a pool in memory, through clients that are fenced as in Ceph. A worker
may be killed, or hang and come back at any time; answers of the cluster are
lost, before or after what was asked for is done.
"""

import contextlib
import dataclasses
import random
import threading

import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

from glance_rawstore import ceph
from glance_rawstore import child
from glance_rawstore import convert
from glance_rawstore import crew
from glance_rawstore import directory
from glance_rawstore import exceptions
from glance_rawstore import filling
from glance_rawstore import record
from glance_rawstore import resuming
from glance_rawstore.lifecycle import cutting
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle.slices import DONE
from glance_rawstore.lifecycle.slices import Slice
from glance_rawstore.tasks import helping
from tests.fakes import ceph as fakes
from tests.fakes import rados
from tests.fakes import rbd
from tests.fakes.world import FakeWorld
from tests.unit.test_making import ID
from tests.unit.test_making import OPTIONS

MIB = 1 << 20
#: Where there is data, in a disk of 64 MiB; a byte each.
CELLS = tuple(n * 4 * MIB for n in range(16))
SIZE = 64 * MIB
SLICE = 8 * MIB
SOURCE = 'qcow2/5000/d1635t'
CHOSEN = dataclasses.replace(OPTIONS, object_size=4 * MIB, workers=3)
BETWEEN = filling.Between({'driver': 'source'}, {'driver': 'target'})


class Killed(BaseException):
    """The worker is gone: nothing of it is undone."""


class Actor(threading.Thread):
    """A worker that runs only while it is stepped.

    :ivar error: what it ended with; None if it is done, or not ended
    """

    def __init__(self, stage, pool, name, work):
        super().__init__(daemon=True)
        self.stage, self.pool, self.label = stage, pool, name
        self.killed = self.ended = False
        self.error = None
        self._work = work
        self._go, self._paused = threading.Semaphore(0), threading.Semaphore(0)
        self.start()

    def run(self):
        self._go.acquire()
        try:
            if self.killed:
                raise Killed
            self._work()
        except (Exception, Killed) as exc:
            self.error = exc
        self.ended = True
        self._paused.release()

    def step(self):
        """Run until it comes to the next point."""
        if not self.ended:
            self._go.release()
            assert self._paused.acquire(timeout=20)

    def pause(self):
        """A point at which others may go on first."""
        if self.killed:
            raise Killed
        self._paused.release()
        self._go.acquire()
        if self.killed:
            raise Killed

    def end(self):
        self.killed = True
        while not self.ended:
            self.step()


def pause():
    current = threading.current_thread()
    if isinstance(current, Actor):
        current.pause()


class QemuImg:
    """Stands in for qemu-img: writes as a client of its own."""

    def __init__(self, stage):
        self._stage = stage

    def __call__(self, limits):
        return self

    def allocated(self, source, offset, length):
        pause()
        return sum(offset <= cell < offset + length for cell in CELLS)

    def convert(self, source, target, requests, calls, window=None):
        client = rados.Rados(self._stage.world.cluster.conf_file, 'glance')
        offset, length = window or (0, SIZE)
        try:
            ioctx = client.open_ioctx('images_raw')
            image = rbd.Image(ioctx, f'{ID}_raw.part')
            for cell in CELLS:
                if offset <= cell < offset + length:
                    pause()
                    image.write(b'!', cell)
                    if (why := calls.stop()) is not None:
                        raise why
            image.close()
        except rbd.Error as exc:
            raise calls.stop() or exceptions.ConversionFailed() from exc


def stopped_when_lost(ours):
    """Stop when the ``.part`` is another owner's, or cannot be read."""

    def stop():
        try:
            ours.look()
        except exceptions.RawStoreError as exc:
            return exc
        return None

    return child.Callbacks(stop=stop)


class Stage:
    """A ``.part``, and who writes it.

    :ivar mishap: what becomes of the next change of the record
    """

    def __init__(self, stack, patch):
        fakes.install(patch, ceph)
        self.world = FakeWorld(stack)
        self._patch = patch
        self._stack = stack
        self.actors = []
        self.helpers = {}
        self.late = []
        self.mishap = ''
        _, self.rbd_id = self.world.begin(ID)
        self._change = directory.change_metas
        patch.setattr(directory, 'change_metas', self._changing)
        patch.setattr(convert, 'QemuImg', QemuImg(self))
        patch.setattr(cutting, 'LEAST', 1)
        for module in (filling.time, record.time, resuming.time):
            patch.setattr(module, 'sleep', lambda seconds: pause())
        zeroes = rbd.Image.write_zeroes

        def emptying(image, offset, length):
            pause()
            zeroes(image, offset, length)

        patch.setattr(rbd.Image, 'write_zeroes', emptying)
        self.owner = self.begin('owner-0')

    def _changing(self, *args):
        """A change, the answer to which may be lost."""
        pause()
        mishap, self.mishap = self.mishap, ''
        if mishap == 'late':
            self.late.append(args)
        done = mishap != 'late' and self._change(*args)
        if mishap:
            raise exceptions.CephUnavailable()
        pause()
        return done

    def deliver(self):
        """What was asked for long ago is done now, if it can be."""
        late, self.late = self.late, []
        for args in late:
            with contextlib.suppress(exceptions.NotFound):
                self._change(*args)

    def begin(self, name):
        """The first owner."""
        pool = self.world.other_node()
        ours = record.Record(pool, self.rbd_id, name, SOURCE)
        pool.note(ID, self.rbd_id, raw_copy.META_WORKER, name)
        cut = [Slice(n, SLICE, 2) for n in range(0, SIZE, SLICE)]

        def work():
            ours.begin(tuple(cut))
            self._fill(pool, ours)

        return self._add(pool, name, work)

    def replace_owner(self):
        """Its lease has run out: another one takes over."""
        name = f'owner-{len(self.actors)}'
        pool = self.world.other_node()
        ours = record.Record(pool, self.rbd_id, name, SOURCE)
        begun = resuming.saved(pool, self.rbd_id)
        if begun is None:
            self.owner = self.begin(name)  # anew, as there is nothing yet
            return

        def work():
            pool.note(ID, self.rbd_id, raw_copy.META_WORKER, name)
            pause()
            resuming.shut_out(pool, ID)
            ours.adopt()
            self._fill(pool, ours)

        self.owner = self._add(pool, name, work)

    def _fill(self, pool, ours):
        owner = filling.Owner(pool, ID, ours, CHOSEN)
        owner.run(BETWEEN, stopped_when_lost(ours), lambda: None)

    def add_helper(self):
        """Somebody helps whoever is the owner now, if there is one."""
        pool = self.world.other_node()
        kept = resuming.saved(pool, self.rbd_id)
        worker, _ = record.read(pool, self.rbd_id)
        if kept is None or kept.owner != worker:
            return
        presence = self._stack.enter_context(contextlib.ExitStack())
        name = presence.enter_context(
            crew.presence(pool.ioctx, self.rbd_id, 30)
        )
        ours = record.Record(pool, self.rbd_id, worker, SOURCE, name)

        def work():
            ours.look()
            helper = helping.Helper(pool, ID, ours, CHOSEN)
            with presence:
                helper.run(BETWEEN, stopped_when_lost(ours))

        helper = self._add(pool, name, work)
        self.helpers[helper] = presence

    def _add(self, pool, name, work):
        actor = Actor(self, pool, name, work)
        self.actors.append(actor)
        return actor

    def forget(self, helper):
        """It is heard of no more; whether it lives or not."""
        self.helpers[helper].close()

    def check(self):
        """What is said to be done is written."""
        kept = resuming.saved(self.world.pool, self.rbd_id)
        if kept is None:
            return
        name = f'{ID}_raw.part'
        with self.world.pool.image(name, read_only=True) as image:
            for each, state in zip(kept.slices, kept.states, strict=True):
                if state == DONE:
                    for cell in CELLS:
                        if each.offset <= cell < each.end:
                            assert image.read(cell, 1) == b'!', each


@contextlib.contextmanager
def staged():
    with contextlib.ExitStack() as stack, pytest.MonkeyPatch.context() as p:
        stage = Stage(stack, p)
        try:
            yield stage
        finally:
            for actor in stage.actors:
                actor.end()


#: What may happen, and how often.
KINDS = {
    **{'step': 60, 'help': 8, 'forget': 6, 'kill': 2, 'owner': 2},
    **{'lost': 3, 'late': 3, 'deliver': 4},
}


def act(stage, chance):
    """Something happens."""
    living = [a for a in stage.actors if not a.ended]
    helpers = [a for a in living if a in stage.helpers]
    (kind,) = chance.choices(tuple(KINDS), tuple(KINDS.values()))
    if kind == 'help' and len(helpers) < CHOSEN.workers:
        stage.add_helper()
    elif kind in ('lost', 'late'):
        stage.mishap = kind
    elif kind == 'deliver':
        stage.deliver()
    elif kind == 'owner':
        stage.replace_owner()
    elif kind == 'forget' and helpers:
        stage.forget(chance.choice(helpers))
    elif kind == 'kill' and living:
        found = chance.choice(living)
        found.end()
        if found in stage.helpers:
            stage.forget(found)
    elif kind == 'step' and living:
        found = chance.choice(living)
        for _ in range(chance.randint(1, 12)):
            found.step()
            stage.check()


# Numbers of a generator, as hypothesis itself mostly tries short stories.
@settings(deadline=None, max_examples=150)
@given(st.integers(0, 2**32))
def test_what_is_done_is_written_whatever_happens(seed):
    chance = random.Random(seed)
    with staged() as stage:
        for _ in range(chance.randint(20, 120)):
            act(stage, chance)
            stage.check()

        finish(stage)

        rest = [a for a in stage.actors if not a.ended]
        kept = resuming.saved(stage.world.pool, stage.rbd_id)
        assert not kept.left()
        stage.check()
        with stage.world.pool.image(f'{ID}_raw.part') as image:
            image.metadata_remove(raw_copy.META_SLICES)
        stage.deliver()
        for actor in rest * 40:
            actor.step()
        with stage.world.pool.image(f'{ID}_raw.part') as image:
            assert all(image.read(cell, 1) == b'!' for cell in CELLS)
            assert raw_copy.META_SLICES not in dict(image.metadata_list())


def finish(stage):
    """The cluster answers, and who hangs is not heard of any more."""
    stage.mishap = ''
    for helper in stage.helpers:
        stage.forget(helper)
    for _ in range(5):
        if stage.owner.ended and stage.owner.error is None:
            return
        if stage.owner.ended:
            stage.replace_owner()
        for _ in range(1000):
            stage.owner.step()
    raise AssertionError(stage.owner.error)
