# SPDX-License-Identifier: Apache-2.0
"""Measuring and filling a reserved copy, in a pool in memory."""

import contextlib
import dataclasses
import shutil

import pytest

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import lease
from glance_rawstore import making
from glance_rawstore import nodes
from glance_rawstore import periodic
from glance_rawstore import safety
from glance_rawstore.lifecycle import raw_copy
from tests.contract.world import SIZE
from tests.unit import headers
from tests.unit.test_making import ID
from tests.unit.test_making import MIB
from tests.unit.test_making import OPTIONS
from tests.waiting import eventually

VERDICT = safety.Verdict('qcow2', 'qcow2', SIZE)


class Source:
    """An original of which only the node matters."""

    def __init__(self, path='/s'):
        self.node = {'driver': 'file', 'filename': str(path)}


@pytest.fixture
def reserve(world):
    """Reserve in the raw pool, with some options changed."""
    with contextlib.ExitStack() as stack:

        def reserved(**options):
            chosen = dataclasses.replace(OPTIONS, **options)
            part = making.reserve(world.pool, ID, chosen)
            stack.callback(part.release)
            return part

        yield reserved


@pytest.mark.skipif(
    shutil.which('qemu-img') is None, reason='qemu-img is not installed'
)
class TestMeasure:
    """The real qemu-img says how large the copy is to be."""

    @pytest.mark.parametrize('size', [5 * MIB, 5 * MIB + 512, 5 * MIB + 1])
    def test_the_part_gets_the_exact_size(
        self, world, reserve, images, tmp_path, size
    ):
        path = images.qcow2(tmp_path, contents=images.Contents(size=size))
        named = dataclasses.replace(VERDICT, virtual_size=size)

        info = reserve().measure(Source(path), named)

        sectors = -(-size // 512)
        assert info.virtual_size == world.pool.size(ID) == sectors * 512

    def test_what_qemu_img_sees_counts_for_the_limit(
        self, reserve, images, tmp_path
    ):
        contents = images.Contents(size=5 * MIB)
        path = images.GOOD['vmdk-sparse'](tmp_path, contents=contents)
        named = safety.Verdict('vmdk', 'vmdk', MIB)

        with pytest.raises(exceptions.TooLarge):
            reserve(max_size=MIB).measure(Source(path), named)

    def test_a_qcow2_that_names_more_than_qemu_img_sees_is_refused(
        self, reserve, images, tmp_path
    ):
        path = images.qcow2(tmp_path, contents=images.Contents(size=5 * MIB))

        with pytest.raises(exceptions.ConversionFailed):
            reserve().measure(Source(path), VERDICT)

    def test_no_more_is_written_than_is_free(
        self, world, reserve, images, tmp_path
    ):
        contents = images.Contents(size=5 * MIB, data=2 * MIB)
        path = images.qcow2(tmp_path, contents=contents)
        world.cluster.free = MIB
        named = dataclasses.replace(VERDICT, virtual_size=5 * MIB)

        with pytest.raises(exceptions.NoSpace, match=r'1\.0 MiB are free'):
            reserve().measure(Source(path), named)


class Converter:
    """Stands in for qemu-img: writes into the pool in memory."""

    def __init__(self, world, data):
        self._world = world
        self._data = data
        self.calls = None

    def __call__(self, limits):
        self.limits = limits
        return self

    def info(self, source, size=None):
        return convert.Info(SIZE, len(self._data))

    def convert(self, source, target, requests, calls, window=None):
        self.source, self.target = source, target
        self.requests, self.calls = requests, calls
        calls.progress(1.0)
        self._world.write(ID, self._data)
        self.during()

    def during(self):
        """What happens before it has ended."""


class TestFill:
    """What is written, and how it is judged."""

    @pytest.fixture
    def fill(self, world, reserve, monkeypatch):
        def fill(data=b'a boot sector', **calls):
            converter = Converter(world, data)
            monkeypatch.setattr(convert, 'QemuImg', converter)
            part = reserve()
            part.measure(Source(), VERDICT)
            part.fill(Source(), VERDICT, **calls)
            return converter

        return fill

    def test_it_goes_from_the_original_into_the_part(self, world, fill):
        told = []

        converter = fill(progress=told.append)

        assert told == [0.0, 1.0]
        assert converter.source == nodes.source('qcow2', Source().node)
        assert converter.target == {
            'driver': 'rbd',
            'pool': 'images_raw',
            'image': f'{ID}_raw.part',
            'conf': world.settings.conf_file,
            'user': 'glance',
            'cache': {'direct': True},
        }
        assert converter.requests == 4
        assert converter.limits == OPTIONS.limits(SIZE)

    def test_every_node_can_see_how_far_it_is(self, world, fill, monkeypatch):
        def progress():
            with world.other_node().image(f'{ID}_raw.part') as part:
                return dict(part.metadata_list()).get(raw_copy.META_PROGRESS)

        monkeypatch.setattr(periodic, 'INTERVAL', 0.01)
        monkeypatch.setattr(
            Converter,
            'during',
            lambda _self: eventually(
                lambda: progress() == '100', 'it is noted'
            ),
        )

        fill()

    def test_a_full_pool_is_noticed(self, world, fill):
        converter = fill()

        assert converter.calls.full() is False
        world.fill()
        assert converter.calls.full() is True

    def test_an_image_in_the_image_is_refused(self, fill):
        with pytest.raises(exceptions.UnsafeImage):
            fill(headers.qcow2())

    def test_it_stops_when_the_copy_is_deleted(self, world, fill):
        converter = fill()
        assert converter.calls.stop() is None

        world.other_node().delete(ID)

        assert type(converter.calls.stop()) is exceptions.Cancelled

    def test_it_stops_when_another_worker_has_taken_over(
        self, world, fill, monkeypatch
    ):
        leases = []
        monkeypatch.setattr(
            lease.Lease,
            'lost',
            property(lambda self: bool(leases), lambda self, value: None),
            raising=False,
        )
        converter = fill()
        assert converter.calls.stop() is None

        leases.append('lost')

        assert type(converter.calls.stop()) is exceptions.LeaseLost

    def test_it_stops_when_its_caller_says_so(self, fill):
        why = exceptions.ImageDeleted()

        converter = fill(stop=lambda: why)

        assert converter.calls.stop() is why

    def test_its_caller_is_asked_though_ceph_cannot_tell(self, world, fill):
        why = exceptions.ImageDeleted()
        converter = fill(stop=lambda: why)

        with world.away():
            assert converter.calls.stop() is why

    def test_the_copy_is_looked_at_though_its_caller_cannot_tell(
        self, world, fill
    ):
        def stop():
            raise OSError('the database is away')

        converter = fill(stop=stop)
        world.other_node().delete(ID)

        assert type(converter.calls.stop()) is exceptions.Cancelled

    def test_a_copy_that_went_meanwhile_is_told_as_such(
        self, world, fill, monkeypatch
    ):
        monkeypatch.setattr(
            Converter, 'during', lambda _: world.pool.delete(ID)
        )

        with pytest.raises((exceptions.NotFound, exceptions.Cancelled)):
            fill()


class TestCommit:
    """The end of it, good or bad."""

    def test_a_copy_is_committed_by_who_has_the_lease(self, world, reserve):
        part = reserve()

        assert part.commit({}) == 0

        assert world.names() == [f'{ID}_raw']

    def test_who_has_lost_the_lease_does_not_commit(
        self, world, reserve, monkeypatch
    ):
        part = reserve()
        monkeypatch.setattr(part._lease, 'lost', True)

        with pytest.raises(exceptions.LeaseLost):
            part.commit({})

        assert world.names() == [f'{ID}_raw.part']

    def test_nothing_is_left_of_what_is_given_up(self, world, reserve):
        part = reserve()

        part.discard()
        part.release()

        assert world.names() == world.trash() == []
