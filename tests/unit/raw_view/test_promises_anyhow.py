# SPDX-License-Identifier: Apache-2.0
"""Several workers, consumers, and a copy that comes and goes at random."""

import hypothesis
from hypothesis import strategies as st

from glance_rawstore.lifecycle.states import Status
from glance_rawstore.raw_view import RawView
from tests.unit.raw_view.conftest import NOVA
from tests.unit.raw_view.conftest import request_of
from tests.unit.raw_view.test_promises import LONG
from tests.unit.raw_view.test_promises import file
from tests.unit.raw_view.test_promises import look
from tests.unit.raw_view.test_promises import pass_time

CALLERS = (request_of(1), request_of(2), NOVA)


class Story:
    """One image, and what everybody was told of it.

    :ivar told: by the number of a caller, the format and at which change
    """

    def __init__(self, bed):
        self.bed = bed
        self.image_id = bed.image(copied=False)
        self.workers = [RawView(bed.glance, bed.conf) for _ in range(2)]
        self.changes = 0
        self.gone = False
        self.told = {}
        self.downloading = set()

    @property
    def active(self):
        return self.bed.world.pool.status(self.image_id) is Status.ACTIVE

    def change(self, _worker, _caller):
        self.changes += 1
        if self.active:
            self.bed.world.pool.delete(self.image_id)
            self.gone = True
        else:
            self.bed.commit(self.image_id)

    def wait(self, _worker, _caller):
        """So long that nobody asks any more who has looked before."""
        self.told.clear()
        if self.active:
            self.bed.committed(self.image_id, LONG)
        if self.gone:
            pass_time(self.bed, self.image_id, LONG)

    def seen(self, caller):
        """What a caller is shown."""
        found = look(self.bed, self.image_id, CALLERS[caller])
        if caller in self.downloading:
            assert found == 'qcow2', 'it would give up what it makes'
        return found

    def look(self, worker, caller):
        self.bed.view = self.workers[worker]
        found = self.seen(caller)
        assert found == 'qcow2' or self.active
        self.told[caller] = found, self.changes

    def overtake(self, worker, caller):
        """Its bytes are asked for while it looks, of the other worker."""
        self.bed.view = here = self.workers[worker]

        def meanwhile():
            self.bed.glance.after = lambda: None
            self.file(1 - worker, caller)
            self.bed.view = here

        self.bed.glance.after = meanwhile
        self.told[caller] = self.seen(caller), self.changes

    def refuse(self, worker, caller):
        """Glance does not answer; whoever asks goes by what it knows."""
        self.bed.view = self.workers[worker]
        self.bed.glance.hidden.add(self.image_id)
        path = f'/{self.image_id}'
        assert self.bed.ask(path, CALLERS[caller]).status_int == 404
        self.bed.glance.hidden.discard(self.image_id)
        if caller in self.told:
            self.told[caller] = self.told[caller][0], None

    def flip(self, worker, caller):
        """The copy comes or goes while it looks."""
        self.bed.view = self.workers[worker]
        self.bed.glance.after = lambda: self.change(worker, caller)
        found = self.seen(caller)
        self.bed.glance.after = lambda: None
        self.told[caller] = found, None

    def file(self, worker, caller):
        self.bed.view = self.workers[worker]
        given = file(self.bed, self.image_id, CALLERS[caller])
        told, changes = self.told.get(caller, (None, None))
        if told is not None:
            assert given in (told, 503)
        if changes == self.changes:
            assert given == told, 'nothing has happened since'
        by_request = 'HTTP_X_OPENSTACK_REQUEST_ID' in CALLERS[caller]
        if given == 'qcow2' and self.active and by_request:
            self.downloading.add(caller)


STEPS = st.tuples(
    st.sampled_from(
        ['change', 'wait', *('look', 'file') * 3, 'overtake', 'refuse', 'flip']
    ),
    st.integers(0, 1),
    st.sampled_from([0, 0, 1, 2]),
)


@hypothesis.settings(
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
    deadline=None,
    max_examples=60,
)
@hypothesis.given(st.lists(STEPS, min_size=5, max_size=30))
def test_the_bytes_match_what_the_same_consumer_was_last_shown(bed, steps):
    story = Story(bed)
    for name, worker, caller in steps:
        getattr(story, name)(worker, caller)
