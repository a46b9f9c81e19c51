# SPDX-License-Identifier: Apache-2.0
"""The raw copy comes or goes between the questions of one caller.

Cinder asks for the locations and for the image, and to download asks for both
again. Whatever it is told, it must not take the bytes of a qcow2 for a disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from tests.consumers.disks import holds
from tests.consumers.disks import raw_copy
from tests.consumers.flips import Flip
from tests.consumers.process import NOVA
from tests.consumers.process import Answer
from tests.consumers.process import Consumer
from tests.consumers.process import ConsumerError
from tests.functional.support import await_true

#: How Cinder and Nova say that what they got is not what they were told
#: before the copy vanished, or that Glance has told them to look again.
CLEAN = {
    'ImageUnacceptable',
    'ImageDownloadFailed',
    'ImageCopyFailure',
    'GlanceConnectionFailed',
}


@pytest.fixture
def flip(cloud, copied) -> Iterator[Flip]:
    with Flip.of(cloud.cluster, cloud.raw_pool, copied) as controlled:
        yield controlled


class Run(NamedTuple):
    """What became of one call.

    :param disk: that it made, or None
    :param flipped: whether it asked often enough for the flip to happen
    :param paths: of the answers just before the flip and just after it
    """

    disk: str | None
    flipped: bool
    paths: tuple[str, ...] = ()

    @property
    def between(self) -> bool:
        """Whether that was between a look at the image and its bytes."""
        parts = [path.count('/') for path in self.paths]
        return parts == [3, 4] and self.paths[1].endswith('/file')


def run(
    consumer: Consumer, call: Callable[..., str], flip: Flip, point: int
) -> Run:
    """Call, and flip the copy after so many answers about the image."""
    seen = 0

    def after(answer: Answer) -> None:
        nonlocal seen
        if answer.of_an_image:
            seen += 1
            if seen == point:
                flip.to(not flip.active)

    try:
        disk = call(after=after)
    except ConsumerError as error:
        if not CLEAN & set(error.kinds):
            raise
        disk = None
    told = [a.path for a in consumer.answers if a.of_an_image]
    return Run(disk, seen >= point, tuple(told[point - 1 : point + 1]))


def runs(
    consumer: Consumer, call: Callable[..., str], flip: Flip, first: bool
) -> Iterator[Run]:
    """Flip after the first answer, then after the second, up to the last."""
    for point in itertools.count(1):
        flip.to(first)
        done = run(consumer, call, flip, point)
        yield done
        if not done.flipped:
            return


@pytest.mark.parametrize(
    'first', [False, True], ids=['the copy appears', 'the copy vanishes']
)
def test_a_volume_has_the_bytes_of_the_guest_or_there_is_none(
    cinder, user, copied, flip, disk, guest_image, first
):
    def create(after: Callable[[Answer], None]) -> str:
        name = cinder.call('create', after, user=user, image_id=copied)
        return f'volumes/{name}'

    parents = []
    for made in runs(cinder, create, flip, first):
        assert made.disk is not None or first, 'it appears: nobody suffers'
        if made.disk is not None:
            assert disk(made.disk).holds(guest_image)
            parents.append(disk(made.disk).parent())

    # The last was disturbed by no flip; of the others, some clone and some
    # download.
    assert bool(parents[-1]) == first
    assert set(parents) == {None, raw_copy(copied)}


@pytest.mark.parametrize(
    'first', [False, True], ids=['the copy appears', 'the copy vanishes']
)
def test_a_disk_has_the_bytes_of_the_guest_or_there_is_none(
    nova, user, copied, flip, disk, guest_image, first
):
    numbers = itertools.count()

    def boot(after: Callable[[Answer], None]) -> str:
        server_id = f'00000000-0000-4000-8000-{next(numbers):012}'
        name = nova.call(
            'boot', after, user=user, image_id=copied, server_id=server_id
        )
        return f'vms/{name}'

    parents = []
    for made in runs(nova, boot, flip, first):
        # else a later server would get the disk of an earlier one
        nova.call('forget_images')
        assert made.disk is not None or first, 'it appears: nobody suffers'
        if made.disk is not None:
            assert disk(made.disk).holds(guest_image)
            parents.append(disk(made.disk).parent())

    assert bool(parents[-1]) == first
    assert set(parents) == {None, raw_copy(copied)}


@pytest.fixture(params=['cinder', 'nova'])
def downloader(request) -> Iterator[Consumer]:
    """One that asks Glance again, as by default."""
    consumer = request.getfixturevalue(request.param)
    consumer.call('try_again', times=1)
    yield consumer
    consumer.call('try_again', times=0)


@pytest.fixture
def download(
    downloader, user, copied, disk, tmp_path, guest_image
) -> Callable[[Callable[[Answer], None]], str]:
    """Downloads the image, and says whether it has the guest's bytes."""
    numbers = itertools.count()

    def fetch(after: Callable[[Answer], None]) -> str:
        call = {'user': user, 'image_id': copied}
        if downloader.module == NOVA:
            path = str(tmp_path / f'{next(numbers)}')
            downloader.call('fetch', after, path=path, **call)
            assert holds(path, guest_image)
            return path
        name = downloader.call('fetch', after, **call)
        assert disk(f'volumes/{name}').holds(guest_image)
        return str(name)

    return fetch


@pytest.mark.parametrize('age', [0, 24 * 3600], ids=['young', 'old'])
@pytest.mark.parametrize(
    'first', [False, True], ids=['the copy appears', 'the copy vanishes']
)
def test_a_download_has_the_bytes_that_the_image_was_said_to_have(
    downloader, download, flip, first, age
):
    """Where nothing can be cloned; at each point, one of which lies between
    a look at the image and the bytes.
    """

    def dated(after: Callable[[Answer], None]) -> str:
        if flip.active:
            flip.date(age)
        return download(after)

    done = list(runs(downloader, dated, flip, first))

    assert any(run.between for run in done)
    for one in done:
        # it may have looked before, and compare with that
        if first and not one.between:
            continue
        assert one.disk is not None


@pytest.mark.parametrize(
    'states', list(itertools.product((False, True), repeat=4))
)
def test_cinder_clones_raw_bytes_or_nothing(
    cinder, user, copied, flip, disk, guest_image, states
):
    """Each answer to get_location and show, and the clone, at any state."""
    wanted = list(states)
    flip.to(wanted.pop(0))

    def after(answer: Answer) -> None:
        if answer.of_an_image and wanted:
            flip.to(wanted.pop(0))

    name, cloned = cinder.call('clone', after, user=user, image_id=copied)

    if cloned:
        assert disk(f'volumes/{name}').parent() == raw_copy(copied)
        assert disk(f'volumes/{name}').holds(guest_image)
    else:
        assert states != (True, True, True, True)


def test_a_copy_made_between_locations_and_image_is_not_mixed_in(
    cinder, user, cloud, alice, disk, guest_image
):
    image_id = alice.import_file(guest_image)

    def after(answer: Answer) -> None:
        if answer.path.endswith('/locations'):
            cloud.client('admin').images.image_import(
                image_id, method='copy-image', stores=['raw']
            )
            await_true(
                lambda: 'raw' in alice.locations(image_id), 'there is a copy'
            )
            alice.await_active(image_id)

    name = cinder.call('create', after, user=user, image_id=image_id)

    assert disk(f'volumes/{name}').holds(guest_image)


def test_a_copy_deleted_between_locations_and_image_is_not_mixed_in(
    cinder, user, cloud, alice, disk, guest_image
):
    image_id = alice.make_copy(guest_image)

    def after(answer: Answer) -> None:
        if answer.path.endswith('/locations'):
            admin = cloud.client('admin').images
            admin.delete_from_store('raw', image_id)

    name = cinder.call('create', after, user=user, image_id=image_id)

    assert disk(f'volumes/{name}').parent() is None
    assert disk(f'volumes/{name}').holds(guest_image)
