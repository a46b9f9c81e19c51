# SPDX-License-Identifier: Apache-2.0
"""A conversion in memory: Ceph, Glance and qemu-img are fakes."""

import contextlib
import threading

import pytest

from glance_rawstore import convert
from glance_rawstore import stores
from glance_rawstore.catalog import Requester
from glance_rawstore.options import Options
from glance_rawstore.tasks import flow
from glance_rawstore.tasks import publishing
from glance_rawstore.tasks import step
from glance_rawstore.tasks.job import Job
from tests.contract.world import DATA
from tests.contract.world import SIZE
from tests.fakes.catalog import FakeCatalog
from tests.unit import headers

MIB, GIB = 1 << 20, 1 << 30
ID = '6e0f1c9a-52c1-4b0e-9d8e-0a1b2c3d4e5f'
ORIGINAL = headers.qcow2(size=SIZE).ljust(5000, b'\1')


class Converter:
    """Stands in for qemu-img.

    :ivar during: called between the two halves of a conversion
    :ivar source: what was converted last
    :ivar windows: offset and length of all that was converted
    :ivar limits: of each child, in order
    :ivar data: what the guest sees
    """

    def __init__(self, world):
        self._world = world
        self.during = lambda calls: None
        self.source = None
        self.windows = []
        self.limits = []
        self.data = DATA

    def __call__(self, limits):
        self.limits.append(limits)
        return self

    def info(self, source, size=None):
        return convert.Info(SIZE, len(DATA))

    def allocated(self, source, offset, length):
        return len(self.data[offset : offset + length])

    def convert(self, source, target, requests, calls, window=None):
        self.source = source
        offset, length = window or (0, SIZE)
        self.windows.append((offset, length))
        calls.progress(0.5)
        self.during(calls)
        reason = calls.stop()
        if reason is not None:
            raise reason
        self._world.write(ID, self.data[offset : offset + length], offset)
        calls.progress(1.0)


class Work:
    """One image and the conversion of it.

    :ivar catalog: Glance
    :ivar converter: qemu-img
    :ivar stop: set when the process ends
    """

    def __init__(self, world, scratch):
        self.world = world
        self.catalog = FakeCatalog()
        self.converter = Converter(world)
        self.stop = threading.Event()
        self.scratch = scratch
        self.options = Options(
            max_size=GIB,
            max_conversions=1,
            address_space=GIB,
            cpu_time=60,
            cpu_time_per_gib=60,
            requests=4,
            stall_timeout=60,
            lease_duration=30,
            scratch_dir=str(scratch),
            object_size=8 * MIB,
            weight=100,
            node_weights={'n1': 5},
            staged='always',
        )
        self.stores = {
            'disk': stores.Store('disk', 'file', 0),
            'raw': stores.Store('raw', 'rawrbd', -1000, world.settings),
        }

    def job(self):
        return Job(
            image_id=ID,
            store=self.stores['raw'],
            all_stores=self.stores,
            options=self.options,
            catalog=self.catalog,
            requester=Requester('user', 'request'),
            stop=self.stop,
            resources=contextlib.ExitStack(),
        )

    def run(self):
        """Convert; the task, if there is one."""
        flow.run(self.job())
        (task,) = self.catalog.tasks.values() or [None]
        return task

    @property
    def url(self):
        return f'rbd://{self.world.cluster.fsid}/images_raw/{ID}_raw/snap'

    def location(self):
        """The metadata of the copy's location, None without one."""
        rows = self.catalog.locations(ID, self.url)
        return rows[0]['metadata'] if rows else None

    def assert_nothing_is_left(self):
        assert self.world.names() == self.world.trash() == []
        assert self.location() is None
        assert self.scratch.exists() is False or all(
            path.stat().st_size == 0 for path in self.scratch.iterdir()
        )


@pytest.fixture
def work(world, tmp_path, monkeypatch):
    found = Work(world, tmp_path / 'scratch')
    found.catalog.add(ID, ORIGINAL)
    monkeypatch.setattr(convert, 'QemuImg', found.converter)
    monkeypatch.setattr(publishing, 'POLL', 0.01)
    monkeypatch.setattr(step, 'POLL', 0.01)
    monkeypatch.setattr(step, '_SOON', 0.01)
    monkeypatch.setattr(step, 'WATCH_TIMEOUT', 0.0)
    return found
