# SPDX-License-Identifier: Apache-2.0
"""Whatever is done to a raw pool, copies make the moves of the table alone."""

import contextlib

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine
from hypothesis.stateful import initialize
from hypothesis.stateful import invariant
from hypothesis.stateful import precondition
from hypothesis.stateful import rule

from glance_rawstore import ceph
from glance_rawstore import exceptions
from glance_rawstore.lifecycle import raw_copy
from glance_rawstore.lifecycle import states
from glance_rawstore.lifecycle.states import Status
from tests.contract.world import MIB
from tests.contract.world import SIZE
from tests.fakes import ceph as fakes
from tests.fakes.world import FakeWorld

ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
which = st.just(0) | st.integers(0, 3)


class Copies(RuleBasedStateMachine):
    """One image's copies, in any sequence of what is done to them."""

    def __init__(self):
        super().__init__()
        self.stack = contextlib.ExitStack()
        monkeypatch = self.stack.enter_context(pytest.MonkeyPatch.context())
        fakes.install(monkeypatch, ceph)
        self.world = FakeWorld(self.stack)
        self.statuses = {}
        self.writers = []
        self.clones = []

    @initialize(clone_format=st.sampled_from([1, 2]))
    def consumer(self, clone_format):
        self.raw, self.volumes = self.world.consumer(clone_format)

    def teardown(self):
        self.stack.close()

    def status(self, rbd_id):
        pool = self.world.pool
        return states.derive(
            part=pool.rbd_id(raw_copy.part_name(ID)) == rbd_id,
            final=pool.rbd_id(raw_copy.name(ID)) == rbd_id,
            trashed=rbd_id in self.world.trash(),
        )

    @invariant()
    def only_moves_of_the_table_were_made(self):
        for rbd_id, before in self.statuses.items():
            now = self.status(rbd_id)
            assert now == before or (before, now) in states.MOVES
            self.statuses[rbd_id] = now

    def pick(self, number):
        """One of the copies that there have been, the last one mostly."""
        return list(reversed(self.statuses))[number % len(self.statuses)]

    @rule(written=st.booleans())
    def begin(self, written):
        with contextlib.suppress(exceptions.LeaseHeld, exceptions.CopyExists):
            rbd_id = self.world.pool.begin(ID, SIZE, 8 * MIB)
            assert rbd_id not in self.statuses
            self.statuses[rbd_id] = Status.DELETED
            if written:
                self.writers.append(self.world.writer(ID))

    @precondition(lambda self: self.statuses)
    @rule(number=which)
    def commit(self, number):
        with contextlib.suppress(exceptions.Cancelled, exceptions.CopyExists):
            self.world.pool.commit(ID, self.pick(number), {})

    @rule()
    def delete(self):
        with contextlib.suppress(exceptions.NotFound):
            self.world.other_node().delete(ID)

    @precondition(lambda self: self.statuses)
    @rule(number=which)
    def discard(self, number):
        self.world.pool.discard(ID, self.pick(number))

    @precondition(lambda self: self.statuses)
    @rule(number=which)
    def purge(self, number):
        self.world.pool.purge(self.pick(number))

    @rule()
    def writers_die(self):
        while self.writers:
            self.writers.pop().kill()
        self.world.pass_time(60)

    @rule()
    def clone(self):
        name = f'child-{len(self.clones)}'
        with contextlib.suppress(ceph.rbd.Error):
            ceph.rbd.RBD().clone(
                self.raw, raw_copy.name(ID), 'snap', self.volumes, name
            )
            self.clones.append(name)

    @rule()
    def unclone(self):
        while self.clones:
            ceph.rbd.RBD().remove(self.volumes, self.clones.pop())


TestCopies = Copies.TestCase
TestCopies.settings = settings(
    settings.get_profile('unit'), max_examples=200, stateful_step_count=40
)
