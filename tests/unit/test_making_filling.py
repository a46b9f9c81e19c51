# SPDX-License-Identifier: Apache-2.0
"""Measuring and filling a reserved copy, in a pool in memory."""

import dataclasses
import shutil

import pytest

from glance_rawstore import convert
from glance_rawstore import exceptions
from glance_rawstore import making
from glance_rawstore import noting
from glance_rawstore import safety
from glance_rawstore.lifecycle import raw_copy
from tests.contract.world import SIZE
from tests.unit import headers
from tests.unit.test_making import ID
from tests.unit.test_making import MIB
from tests.unit.test_making import OPTIONS
from tests.unit.test_making import reserve
from tests.waiting import eventually

VERDICT = safety.Verdict('qcow2', 'qcow2', SIZE)
FILE = {'driver': 'file', 'filename': '/s'}


def filling(world, rbd_id='', node=FILE, **options):
    return making.Filling(
        world.pool,
        world.settings,
        ID,
        rbd_id,
        node,
        VERDICT,
        dataclasses.replace(OPTIONS, **options),
    )


@pytest.mark.skipif(
    shutil.which('qemu-img') is None, reason='qemu-img is not installed'
)
class TestMeasure:
    """The real qemu-img says how large the copy is to be."""

    def test_the_part_gets_the_exact_size(self, world, images, tmp_path):
        path = images.qcow2(tmp_path, contents=images.Contents(size=5 * MIB))
        node = {'driver': 'file', 'filename': str(path)}
        rbd_id = reserve(world.pool, 0)

        info = filling(world, rbd_id, node).measure()

        assert info.virtual_size == world.pool.size(ID) == 5 * MIB

    def test_what_qemu_img_sees_counts_for_the_limit(
        self, world, images, tmp_path
    ):
        path = images.qcow2(tmp_path, contents=images.EMPTY)
        node = {'driver': 'file', 'filename': str(path)}
        rbd_id = reserve(world.pool)

        with pytest.raises(exceptions.TooLarge):
            filling(world, rbd_id, node, max_size=MIB).measure()


class Converter:
    """Stands in for qemu-img: writes into the pool in memory."""

    def __init__(self, world, data):
        self._world = world
        self._data = data
        self.calls = None
        self.during = lambda: None

    def __call__(self, limits):
        self.limits = limits
        return self

    def convert(self, source, target, requests, calls):
        self.source, self.target = source, target
        self.requests, self.calls = requests, calls
        calls.progress(1.0)
        self.during()
        self._world.write(ID, self._data)


class TestRun:
    """What is written, and how it is judged."""

    def run(self, world, monkeypatch, data=b'a boot sector'):
        converter = Converter(world, data)
        monkeypatch.setattr(convert, 'QemuImg', converter)
        rbd_id = reserve(world.pool)
        told = []
        filling(world, rbd_id).run(told.append, lambda: None)
        assert told == [1.0]
        return converter, rbd_id

    def test_it_goes_from_the_original_into_the_part(self, world, monkeypatch):
        converter, _ = self.run(world, monkeypatch)

        assert converter.source == convert.source_node('qcow2', FILE)
        assert converter.target == {
            'driver': 'rbd',
            'pool': 'images_raw',
            'image': f'{ID}_raw.part',
            'conf': world.settings.conf_file,
            'user': 'glance',
        }
        assert converter.requests == 4
        assert converter.limits == OPTIONS.limits(SIZE)

    def test_every_node_can_see_how_far_it_is(self, world, monkeypatch):
        def progress():
            with world.other_node().image(f'{ID}_raw.part') as part:
                return dict(part.metadata_list()).get(raw_copy.META_PROGRESS)

        monkeypatch.setattr(noting, 'INTERVAL', 0.01)
        converter = Converter(world, b'')
        converter.during = lambda: eventually(
            lambda: progress() == '100', 'it is noted'
        )
        monkeypatch.setattr(convert, 'QemuImg', converter)

        filling(world, reserve(world.pool)).run(lambda _: None, lambda: None)

    def test_a_full_pool_is_noticed(self, world, monkeypatch):
        converter, _ = self.run(world, monkeypatch)

        assert converter.calls.full() is False
        world.fill()
        assert converter.calls.full() is True

    def test_an_image_in_the_image_is_refused(self, world, monkeypatch):
        with pytest.raises(exceptions.UnsafeImage):
            self.run(world, monkeypatch, headers.qcow2())

    def test_a_copy_that_went_meanwhile_is_told_as_such(
        self, world, monkeypatch
    ):
        class Deleted(Converter):
            def convert(self, *args):
                world.pool.delete(ID)

        monkeypatch.setattr(convert, 'QemuImg', Deleted(world, b''))
        rbd_id = reserve(world.pool)

        with pytest.raises((exceptions.NotFound, exceptions.Cancelled)):
            filling(world, rbd_id).run(lambda _: None, lambda: None)
