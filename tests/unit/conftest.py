# SPDX-License-Identifier: Apache-2.0
"""What unit tests share: no Ceph, no network, no Glance service."""

import contextlib
import shutil

import hypothesis
import pytest

from glance_rawstore import aio
from glance_rawstore import ceph
from glance_rawstore import handover
from glance_rawstore import lease
from tests import images as image_builders
from tests.fakes import ceph as fakes
from tests.fakes.world import FakeWorld

# The same examples in every run, and no memory between runs: a failure in CI
# is one that everybody sees.
hypothesis.settings.register_profile(
    'unit',
    derandomize=True,
    database=None,
    # Nor does a slow machine make one.
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=50,
)
hypothesis.settings.load_profile('unit')


@pytest.fixture(autouse=True)
def _nothing_left():
    """What fakes have begun never ends by itself."""
    aio._left.clear()
    yield
    aio._left.clear()


@pytest.fixture
def qemu_img() -> str:
    """The path of qemu-img; the test is skipped without it."""
    path = shutil.which('qemu-img')
    if path is None:
        pytest.skip('qemu-img is not installed')
    return path


@pytest.fixture(scope='session')
def images():
    """The builders of images; the test is skipped without qemu-img."""
    if shutil.which('qemu-img') is None:
        pytest.skip('qemu-img is not installed')
    return image_builders


@pytest.fixture
def world(monkeypatch):
    """A Ceph in memory, in the place of the bindings."""
    fakes.install(monkeypatch, ceph)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_leases_end())
        yield FakeWorld(stack)


@contextlib.contextmanager
def _leases_end():
    """No lease is renewed any more once the bindings are back."""
    acquire, taken = lease.Lease.acquire, []

    def noted(self):
        taken.append(self)
        acquire(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lease.Lease, 'acquire', noted)
        yield
    for found in taken:
        found.release()


@pytest.fixture
def agent(world):
    """An agent that is there."""
    found = handover.Presence(world.other_node().ioctx)
    found.show()
    yield found
    found.leave()
